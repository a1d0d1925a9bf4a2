"""Fuzzing: mutations of whatever bams3 reads, as bytes and by structure, on the build whose kernels check every index.

    make fuzz                               # a million inputs; FUZZ="--inputs 20000 --seed 2" for others
    make fuzz FUZZ="--replay build/fuzz/…"  # an input that failed

`mutate` changes bytes and JSON; `seeds` makes what is changed; `targets` is what reads it in process, `uses` what is
computed from it, `changes` what changes or orders records, `texts` what people and clients write (all these:
`in_process`), `commands` what reads it as files, `forged` what must not answer wrongly; `campaign` runs them in worker
processes, with a watchdog. Seed and number make an input again.
"""
