from snakemake.logging import logger

from bams3.workflow import agreement, reference

# The files and names in the configuration are compared with the samples before the first job. Jobs on other machines
# parse this file too, but only the planning process looks at all samples; it reads each header once.


def stored(path, what):
    """The bytes of a small file that the config names; `what` it is. None where a rule has yet to make it, and where
    only Snakemake can read it.
    """
    place = located(path)
    check_regular(place, f"config: {path}")
    if is_made(path):
        return None
    try:
        objects, name = open_object(place)
        return objects.get(name)
    except FileNotFoundError:
        if is_module:
            return None
        raise ConfigurationError(f"{path}: no such file; {what}")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; {what}")
    except Bams3Error as error:
        if is_local(place):
            raise ConfigurationError(str(error))
        return None


def check_query(settings):
    if "bed" in settings:
        where = "config: query: bed"
        if (data := stored(settings["bed"], f"{where} has regions")) is not None:
            agreement.check_query_bed(
                data, settings["bed"], contigs, where, logger.warning
            )
    else:
        agreement.check_regions(settings["regions"], contigs, "config: query: regions")
    if "filter" in settings:
        agreement.check_filter(settings["filter"], "config: query: filter")


def check_measured(section, key, strict):
    """The BED file over which depth is measured, unless these are windows, and the one contig, if it is only one."""
    only = config["coverage"].get("chrom")
    if only is not None:
        agreement.check_contigs([only], contigs, "config: coverage: chrom")
    path = str(config[section].get(key, 0))
    where = f"config: {section}: {key}"
    if path.isdecimal():
        return
    if (
        data := stored(path, f"{where} is windows of so many bp, or a BED file")
    ) is not None:
        agreement.check_coverage_bed(
            data, path, contigs, where, logger.warning, only=only, strict=strict
        )


def check_ploidies(section):
    where = f"config: {section}: call"
    path = calling.ploidy_file(section, config[section])
    if path and (data := stored(path, f"{where} names it")) is not None:
        agreement.check_ploidy(data, path, contigs, where, logger.warning)


def check_reference(path):
    """The FASTA's index and dictionary; M5 of its sequences, of those that the dictionary tells."""
    fai, needed = f"{path}.fai", set()
    if "call" in config:
        needed.update(name for name, _ in contigs)
    needed.update(contig for _, contig, _ in loci)
    if (data := stored(fai, f"make it with: samtools faidx {path}")) is not None:
        index = reference.read_fai(data, fai)
        entries = [(entry.name, entry.length) for entry in index]
        reference.check_lengths(fai, entries, contigs, needed)
        fasta = located(path)
        if is_local(fasta) and os.path.exists(fasta):
            reference.check_index(fasta, index)
    for place in reference.dictionaries(path):
        if is_local(located(place)) and os.path.isfile(located(place)):
            header = reference.read_dictionary(read(located(place), ""), place)
            reference.check_lengths(place, header.references, contigs, needed)
            return place, reference.checksums(header.text)
    return None, {}


def uses_reference():
    return bool(config["reference"]) and (
        "call" in config
        or "genotype" in config
        or any(needs_reference(samples[name]) for name in converted)
    )


def chosen_groups():
    """The read groups that a section chooses, by where it says so."""
    query_group = config.get("query", {}).get("read_group")
    groups = config.get("coverage", {}).get("read_groups")
    return {
        "config: query: read_group": [query_group] if query_group else [],
        "config: coverage: read_groups": groups.split(",") if groups else [],
    }


def check_config():
    if "query" in config:
        check_query(config["query"])
    if "coverage" in config:
        check_measured("coverage", "by", strict=False)
    if "cohort" in config:
        check_measured("cohort", "regions", strict=True)
        agreement.check_contigs(
            config["cohort"].get("sex_contigs", []),
            contigs,
            "config: cohort: sex_contigs",
        )
    for section in ("call", "genotype"):
        if section in config:
            check_ploidies(section)


def check_samples():
    """Every sample: its files, its contigs, its sequences, its read groups."""
    place, sequences = (
        check_reference(config["reference"]) if uses_reference() else (None, {})
    )
    chosen = {where: groups for where, groups in chosen_groups().items() if groups}
    groups = {}
    for name, row in samples.items():
        check_files(row)
        if is_there(row):
            header = header_of(row, with_text=bool(sequences or chosen))
            check_contigs(row, header.references)
            if sequences:
                own = reference.checksums(header.text)
                reference.check_checksums(place, sequences, name, own)
            if chosen:
                groups[name] = agreement.read_groups(header.text)
        batches(name)
    if len(groups) == len(samples):
        for where, wanted in chosen.items():
            agreement.check_read_groups(wanted, groups, where, logger.warning)


if workflow.is_main_process:
    check_config()
    check_samples()
