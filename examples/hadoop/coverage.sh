#!/bin/bash
# Coverage of a dataset, measured by map tasks of Hadoop Streaming: mosdepth's files.
#
#   coverage.sh DATASET PREFIX TASKS [OPTION of bams3 coverage …]
#   coverage.sh s3://bucket/NA12878.bams3 s3://bucket/out/NA12878 16 --by 500
#
# DATASET and PREFIX are URIs, or absolute paths on a file system that all nodes share.
set -euo pipefail
(($# >= 3)) || { grep '^#   ' "$0" >&2; exit 2; }
dataset=$1 prefix=$2 tasks=$3
work=bams3-coverage-$(date +%s)-$$ # in Hadoop's file system
coverage=(bams3 coverage "$dataset" "${@:4}")

# A map task: it measures the depth of some shares of the windows, writes a part PREFIX.i-of-n.depth for each, and
# prints the names of the parts. Each line that it reads is a number (Hadoop's), a tab, and a share i/n. A part appears
# whole or not at all, so it does no harm if a task fails, is killed or runs twice.
measure() {
    local share part
    while IFS=$'\t' read -r _ share; do
        part="$prefix.${share/\//-of-}.depth"
        "${coverage[@]}" --batch "$share" -o "$part" < /dev/null
        echo "$part"
    done
}
# Hadoop splits the command of a task at spaces, which names may contain, so the task is passed as one word.
task=$(base64 -w 0 <<< "$(declare -p prefix coverage; declare -f measure); set -euo pipefail; measure")

bams3 chunks "$dataset" > /dev/null # for a dataset that cannot be read: one line here, instead of pages from Hadoop
[[ $prefix == *://* ]] || mkdir -p "$(dirname "$prefix")"
hadoop fs -mkdir "$work"
seq -f "%.0f/$tasks" "$tasks" | hadoop fs -put - "$work/tasks.txt"
mapred streaming -D mapreduce.job.reduces=0 -D mapreduce.input.lineinputformat.linespermap=1 \
    -inputformat org.apache.hadoop.mapred.lib.NLineInputFormat -input "$work/tasks.txt" -output "$work/parts" \
    -mapper "bash -c 'source <(base64 -d <<< $task)'"
mapfile -t parts < <(hadoop fs -cat "$work/parts/part-*" | tr -d '\t')
"${coverage[@]}" -o "$prefix" --gather "${parts[@]}"
hadoop fs -rm -r -skipTrash "$work"
