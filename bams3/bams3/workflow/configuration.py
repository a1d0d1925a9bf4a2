"""The configuration: its files, before Snakemake merges them, and whether they fit the schema."""

import copy
import difflib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import relevance
from jsonschema.validators import extend
from snakemake.logging import logger
from snakemake.utils import update_config

from bams3.errors import UsageError
from bams3.extras import need
from bams3.shown import without_secrets
from bams3.workflow import internals
from bams3.workflow.errors import ConfigurationError

FILE = "config/config.yaml"
"""The configuration file of the Snakefile, with which others are merged."""

_RENAMED = {"grid": "contigs"}
"""Keys that had another name in earlier versions: the new name, by the old one."""

# The compiled loader, if there is one: schemas are long.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of keys to values",
}


@cache
def schema(path: str) -> dict[str, Any]:
    """Load a schema of the workflow."""
    return dict(yaml.load(Path(path).read_text(), _LOADER))


def check(data: Any, schema: dict[str, Any], where: str) -> None:
    """Raise ConfigurationError if data contain a secret or do not fit a schema."""
    refuse_secrets(data, where)
    if fault := max(_Validator(schema).iter_errors(data), key=relevance, default=None):
        raise ConfigurationError(": ".join(map(str, [where, *fault.absolute_path, _told(fault)])))


def refuse_secrets(value: Any, where: str) -> None:
    """Raise ConfigurationError if a setting contains a secret, because Snakemake prints and stores settings."""
    if isinstance(value, Mapping | list):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            refuse_secrets(item, f"{where}: {key}")
    elif isinstance(value, str) and without_secrets(value) != value:
        raise ConfigurationError(
            f"{where}: contains a secret (user, password or query of a URL), which would be printed and stored; "
            "remove it, and give credentials in the environment or a profile (docs/object-storage.md)"
        )


def fill_sections(data: Any, schema: dict[str, Any]) -> None:
    """Replace a section without content, which is null in YAML, by an empty one."""
    for key, below in schema.get("properties", {}).items():
        if not isinstance(data, dict) or key not in data or below.get("type") != "object":
            continue
        if data[key] is None:
            data[key] = {}
        fill_sections(data[key], below)


def fill_defaults(data: dict[str, Any], schema: dict[str, Any]) -> None:
    """Set missing settings in sections to the defaults of the schema.

    Snakemake's `validate` does the same, but it reads the schema again in every job.
    """
    for key, below in schema.get("properties", {}).items():
        if "default" in below:
            data.setdefault(key, copy.deepcopy(below["default"]))
        if isinstance(data.get(key), dict):
            fill_defaults(data[key], below)


def need_section(config: Mapping[str, Any], *keys: str) -> None:
    """Raise ConfigurationError if a section, or a key of a section, is missing. It is called if a target needs it."""
    section: Any = config
    for key in keys:
        if key not in section:
            raise ConfigurationError(
                f"config: `{': '.join(keys)}` is missing, and a target is one of its results; add it "
                "(config/README.md), or choose another target"
            )
        section = section[key]


def rename_keys(data: Any, overwriting: Any = ()) -> list[str]:
    """Rename settings that have an old name; return the old names that were found.

    `overwriting`: the keys from the command line, which take precedence. Raises ConfigurationError if both names are
    set.
    """
    found = [old for old in _RENAMED if isinstance(data, dict) and old in data]
    for old in found:
        new = _RENAMED[old]
        if new in data and (old in overwriting) == (new in overwriting):
            raise ConfigurationError(
                f"config: `{old}` is the old name of `{new}`, and both are set; remove `{old}`"
            )
        value = data.pop(old)
        if new not in data or old in overwriting:
            data[new] = value
    return found


def rename_merged(config: dict[str, Any], given: internals.ConfigFiles | None, run: internals.Run) -> None:
    """Rename settings that have an old name, after Snakemake has merged the configuration."""
    renamed = rename_keys(config, given.overwrite_config if given else {})
    if given is None:
        _tell_renamed(renamed, run)


def check_files(given: internals.ConfigFiles | None, run: internals.Run, schema: dict[str, Any]) -> None:
    """Check the configuration before Snakemake assembles it from `FILE` and the command line.

    Raises ConfigurationError; warns if settings come from `FILE` alone although another file is given, and about
    keys with an old name.
    """
    if given is None:  # this is a module, whose configuration comes from the workflow that uses it
        return
    overwriting = copy.deepcopy(given.overwrite_config)
    for path in given.configfiles:
        read(str(path))
    found: dict[str, Any] = {}
    if Path(FILE).exists() or not given.configfiles:
        found = read(FILE)
    if given.replaces and given.overwrite_config:
        found = {}
    _tell_renamed([*rename_keys(found), *rename_keys(overwriting)], run)
    fill_sections(found, schema)
    if run.plans and not run.is_module:
        _tell_merged(found, overwriting, given.configfiles, schema)
    update_config(found, overwriting)
    fill_sections(found, schema)
    check(found, schema, "config")


def _tell_renamed(names: list[str], run: internals.Run) -> None:
    """Warn about keys with an old name."""
    if run.plans:
        for old in dict.fromkeys(names):
            logger.warning(f"config: `{old}` is the old name of `{_RENAMED[old]}`; rename the key")


def _tell_merged(
    found: dict[str, Any], overwriting: dict[str, Any], files: Sequence[Path], schema: dict[str, Any]
) -> None:  # fmt: skip
    """Warn about settings that come from `FILE` alone."""
    others = [path for path in files if path.resolve() != Path(FILE).resolve()]
    if others and (alone := list(_alone(found, overwriting, schema))):
        logger.warning(
            f"{others[-1].name} is merged with {FILE}, which also sets: {', '.join(alone)}; "
            f"remove unwanted settings there, or use --replace-workflow-config"
        )


def check_coverage(section: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for settings of coverage that `bams3 coverage` would refuse."""
    from bams3.coverage.bigwig import BinOptions
    from bams3.coverage.options import CoverageOptions, parse_quantize, parse_thresholds

    names = {"by": "by", "fast_mode": "fast_mode", "fragment_mode": "fragment_mode"}
    names |= {"min_frag_len": "min_fragment", "max_frag_len": "max_fragment"}
    try:
        parse_quantize(section.get("quantize", "0"))
        thresholds = parse_thresholds(section["thresholds"]) if "thresholds" in section else ()
        given = {names[key]: value for key, value in section.items() if key in names}
        depth = CoverageOptions(**given, thresholds=thresholds)
        if "bigwig" in section:
            need("pyBigWig", "bigwig")
        if bins := section.get("bigwig", {}).get("bin"):
            BinOptions(bins, *map(section["bigwig"].get, ("normalize", "effective_genome_size"))).check(depth)
    except UsageError as error:
        raise ConfigurationError(f"config: coverage: {error}") from None


def read(path: str) -> dict[str, Any]:
    """Read a configuration file as Snakemake does. Raises ConfigurationError."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path}: no such file; create it (config/README.md), or use another with --configfile"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8; save it as UTF-8 text") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    try:
        found = json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, path))
    except ValueError:
        found = _read_yaml(text, path)
    if not isinstance(found, dict):
        what = "the file is empty" if found is None else "the file has no keys"
        raise ConfigurationError(f"{path}: {what}; write `key: value` lines (config/README.md)")
    return found


def _alone(data: Mapping[str, Any], given: Mapping[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """Yield the settings in `data` that are neither defaults nor in `given`."""
    for key, value in data.items():
        below = schema.get("properties", {}).get(key, {})
        default = below.get("default")
        other = given.get(key, default)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            yield from (f"{key}: {name}" for name in _alone(value, other, below))
        elif key not in given and value != default:
            yield str(key)


def _read_yaml(text: str, path: str) -> Any:
    try:
        if node := yaml.compose(text, yaml.SafeLoader):
            _check_node(node, path, ())
        return internals.load_configfile(path) if isinstance(node, yaml.MappingNode) else yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(
            f"{path}:{line}: not YAML: {error.problem}; indent with spaces, and quote text that contains a colon"
        ) from None
    except ConfigurationError:
        raise
    except Exception as error:  # including errors in a template, which Snakemake expands
        raise ConfigurationError(f"{path}: {str(error).splitlines()[0]}") from None


def _check_node(node: yaml.Node, path: str, above: tuple[yaml.Node, ...]) -> None:
    """Raise ConfigurationError for a duplicate key. YAML would silently use the last one."""
    if any(node is one for one in above):
        raise ConfigurationError(
            f"{path}:{node.start_mark.line + 1}: an alias (*) within the node that it refers to"
        )
    above = (*above, node)
    if isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = (key.tag, str(key.value))
            if name in lines:
                raise ConfigurationError(
                    f"{path}:{line}: duplicate key {key.value}, first on line {lines[name]}; keep one"
                )
            lines[name] = line
            _check_node(value, path, above)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_node(item, path, above)


def _once(pairs: list[tuple[str, Any]], path: str) -> dict[str, Any]:
    """Build a JSON object from its members. Raises ConfigurationError for a duplicate name."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ConfigurationError(f"{path}: duplicate key {key}; keep one")
        found[key] = value
    return found


def _is_integer(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: Any, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_TYPES = Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_integer, "number": _is_number})
_Validator = extend(Draft202012Validator, type_checker=_TYPES)


def _told(fault: ValidationError) -> str:
    """Return what is wrong, and what the user can do. The key comes before this text."""
    value, rule = fault.instance, fault.validator_value
    if "propertyNames" in fault.absolute_schema_path and fault.validator == "type":
        return _told_type(value, ["string"])
    match fault.validator:
        case "type":
            return _told_type(value, [rule] if isinstance(rule, str) else rule)
        case "additionalProperties":
            known = fault.schema["properties"]
            return _unknown(next(key for key in value if key not in known), list(known))
        case "required":
            return f"`{next(key for key in rule if key not in value)}` is missing; add it"
        case "oneOf":
            keys = " or ".join(f"`{key}`" for branch in rule for key in branch["required"])
            return f"set {keys}" + ("" if fault.context else ", not both")
        case "dependentRequired":
            key, needed = next(
                (key, name)
                for key, names in rule.items()
                if key in value
                for name in names
                if name not in value
            )
            return f"{key} requires `{needed}`; set it too"
        case "enum":
            return f"{value!r}: use one of {', '.join(map(str, rule))}"
    if "description" in fault.schema and fault.schema.get("type") not in ("integer", "number"):
        return f"{value!r} does not fit: {fault.schema['description']}"
    return str(fault.message)


def _told_type(value: Any, kinds: list[str]) -> str:
    wanted = " or ".join(_KINDS[kind] for kind in kinds)
    if value is None:
        return f"no value; give {wanted}, or remove the key"
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'a mapping'} instead of {wanted}"
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    advice = "; quote text" if "string" in kinds else ""
    return f"{text}: use {wanted}{advice}"


def _unknown(key: Any, known: list[str]) -> str:
    similar = difflib.get_close_matches(str(key), known, 1)
    advice = f"did you mean `{similar[0]}`?" if similar else f"known keys: {', '.join(known)}"
    return f"{key}: unknown key; {advice}"
