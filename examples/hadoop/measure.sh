#!/bin/bash
# A map task: depth of some shares of the windows, a part PREFIX.i-of-n.depth each; prints their names.
#
#   measure.sh PREFIX COMMAND…
#
# Lines to read: a number (Hadoop's), a tab, and a share i/n. A part appears whole or not at all, so a task that fails,
# is killed or runs twice changes nothing.
set -euo pipefail
prefix=$1
while IFS=$'\t' read -r _ share; do
    part="$prefix.${share/\//-of-}.depth"
    "${@:2}" --batch "$share" -o "$part" < /dev/null
    echo "$part"
done
