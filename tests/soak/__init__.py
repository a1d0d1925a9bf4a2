"""Soaking: `bams3 serve` and `bams3 mount` under load for an hour; what a process holds must not grow with time.

    make soak                                        # an hour, on reads of tests/data
    make soak SOAK="--minutes 20 --pause 0.1 X.bam"  # shorter, at a lower load, on other reads

`load` has clients that ask and compare each answer, `watch` samples the processes and judges.
"""
