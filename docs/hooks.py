"""Of MkDocs: README is the site's first page, and links to files outside of docs/ lead to the repository."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")  # of images, too


def on_files(files: Any, config: Any) -> Any:
    """README.md stands in for index.md."""
    files.append(File.generated(config, "index.md", abs_src_path=str(ROOT / "README.md")))
    return files


def on_page_markdown(text: str, page: Any, config: Any, files: Any) -> str:
    """Rewrite the links that MkDocs does not follow; PluginError for one that leads nowhere."""
    is_first = page.file.src_uri == "index.md"
    folder = "" if is_first else posixpath.join("docs", posixpath.dirname(page.file.src_uri))

    def rewritten(match: re.Match[str]) -> str:
        words, target, anchor = match[1], match[2], match[3] or ""
        if re.match(r"[a-z]+:", target):
            return match[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        if not (ROOT / path).exists():
            raise PluginError(f"{page.file.src_uri}: {target} is not there")
        if path == "README.md":
            return f"[{words}]({posixpath.relpath('index.md', page.file.src_uri + '/..')}{anchor})"
        if path.startswith("docs/") and path.endswith((".md", ".svg")):
            return f"[{words}]({posixpath.relpath(path, folder or '.').removeprefix('docs/')}{anchor})"
        repository = config.repo_url
        return f"[{words}]({repository}/blob/main/{path}{anchor})" if repository else words

    return LINK.sub(rewritten, text)
