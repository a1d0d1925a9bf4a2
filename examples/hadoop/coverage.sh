#!/bin/bash
# Coverage of a dataset by map tasks of Hadoop streaming: mosdepth's files.
#
#   coverage.sh DATASET PREFIX TASKS [OPTION of bams3 coverage …]
#   coverage.sh s3://bucket/NA12878.bams3 s3://bucket/out/NA12878 16 --by 500
#
# DATASET and PREFIX are URIs, or absolute paths of a file system that all nodes see.
set -euo pipefail
here=$(dirname "$0") dataset=$1 prefix=$2 tasks=$3
work=bams3-coverage-$(date +%s)-$$ # in Hadoop's file system
coverage=(bams3 coverage "$dataset" "${@:4}")

bams3 chunks "$dataset" > /dev/null # a dataset that cannot be read is one line here, and pages of Hadoop's later
[[ $prefix == *://* ]] || mkdir -p "$(dirname "$prefix")"
hadoop fs -mkdir "$work"
seq -f "%.0f/$tasks" "$tasks" | hadoop fs -put - "$work/tasks.txt"
mapred streaming -D mapreduce.job.reduces=0 -D mapreduce.input.lineinputformat.linespermap=1 \
    -files "$here/measure.sh" -inputformat org.apache.hadoop.mapred.lib.NLineInputFormat \
    -input "$work/tasks.txt" -output "$work/parts" -mapper "measure.sh $prefix ${coverage[*]}"
mapfile -t parts < <(hadoop fs -cat "$work/parts/part-*" | tr -d '\t')
"${coverage[@]}" -o "$prefix" --gather "${parts[@]}"
hadoop fs -rm -r -skipTrash "$work"
