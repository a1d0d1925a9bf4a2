from bams3.workflow import people


def identity_sites():
    """The file of common sites."""
    path = config.get("identity", {}).get("sites")
    return [places.copied(path)] if path else []


def identity_table(name):
    """A table of the samples' identities, for the stages that show it."""
    return f"<results>/identity/{name}.tsv" if "identity" in config else []


if "identity" in config and places.run.plans:
    people.check(samples.values(), config["samples"])
