from bams3.workflow import checks

if places.run.plans:
    checks.check_config(config, samples, contigs, places, logger.warning)
    checks.check_samples(config, samples, contigs, called, places, logger.warning)
    for sample in samples:
        batches(sample)
