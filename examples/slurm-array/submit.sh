#!/bin/bash
# Coverage of a dataset, measured by a job array and gathered by another job.
#
#   submit.sh DATASET PREFIX TASKS [OPTION of bams3 coverage …]
#   submit.sh NA12878.bams3 out/NA12878 16 --by 500
set -euo pipefail
(($# >= 3)) || { grep '^#   ' "$0" >&2; exit 2; }
here=$(dirname "$0") prefix=$2 tasks=$3
mkdir -p "$prefix.parts"
logs=(--output="$prefix.parts/%x-%a.log" --open-mode=append)

array=$(sbatch --parsable --array="1-$tasks" "${logs[@]}" "$here/coverage.sbatch" "$@")
gather=$(sbatch --parsable --dependency="afterok:$array" "${logs[@]}" "$here/gather.sbatch" "$@")
echo "tasks $array, gathered by $gather, logs in $prefix.parts"
