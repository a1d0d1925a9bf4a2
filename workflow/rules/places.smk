import os

from bams3.errors import Bams3Error
from bams3.storage import open_object
from bams3.workflow.errors import ConfigurationError


def is_local(path):
    return "://" not in path


def result(path):
    """Where a result is, as Snakemake does it: pathvars filled in, and below the prefix of a module."""
    return modifier.path_modifier.replace_prefix(modifier.pathvars.apply(path))


def located(path):
    """Where bams3 finds a file: relative paths are below the prefix of Snakemake's default storage, if it has one."""
    below = prefix and is_local(path) and not os.path.isabs(path)
    return f"{prefix}/{path}" if below else path


def in_place(path):
    """A file that bams3 itself reads or writes where it is, while Snakemake only looks at it.

    An empty list where Snakemake can't: outside its default storage.
    """
    place = located(path)
    if is_local(place):
        return local(place)
    if not prefix or place.split("://")[0] != prefix.split("://")[0]:
        return []
    return getattr(storage, storage_provider)(place, retrieve=False)


def check_regular(path, where):
    """Raises an error for a pipe, say, which only one of the jobs could read."""
    if is_local(path) and os.path.exists(path) and not os.path.isfile(path):
        raise ConfigurationError(
            f"{where}: not a regular file, and it is read more than once; give a file"
        )


def check_there(path, where, advice="check how it is written"):
    """Raises an error for a file that jobs could not read. Of a module, another rule may make it."""
    check_regular(located(path), where)
    if not workflow.is_main_process or not modifier.is_main_snakefile():
        return
    if not known(path, stamp_of):
        raise ConfigurationError(f"{where}: no such file; {advice}")
    if is_local(located(path)) and not os.access(located(path), os.R_OK):
        raise ConfigurationError(f"{where}: it can't be read; change its permissions")


def copied(path, **advice):
    """A small input that is named in the config: Snakemake copies it to where the job is."""
    place = located(path)
    check_there(path, f"config: {path}", **advice)
    return local(place) if is_local(place) else storage(place)


def read(path, what):
    """The bytes of a small file, a path or a URI; `what` it is, for the error if it can't be read."""
    check_regular(path, path)
    try:
        place, name = open_object(path)
        return place.get(name)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; {what}")
    except Bams3Error as error:
        raise ConfigurationError(str(error))


def read_lines(path, what):
    """The lines of a small text file; otherwise as `read`."""
    try:
        return read(path, what).decode().splitlines()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not a text file; {what}")


modifier = workflow.modifier  # of this workflow, or of the module as which it is used
storage_provider = workflow.storage_settings.default_storage_provider
prefix = (workflow.storage_settings.default_storage_prefix or "").rstrip("/")


def is_folder(stored):
    """Is it a folder of objects? The plugin's own remembers that it was none before a job on another machine made it."""
    return any(stored.get_subkeys())


if storage_provider == "s3":
    from snakemake_storage_plugin_s3 import StorageObject

    StorageObject.is_dir = is_folder
