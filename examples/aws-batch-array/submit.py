"""Coverage of a dataset in S3, measured by an array job of AWS Batch and gathered by another job.

python submit.py QUEUE DEFINITION.json DATASET PREFIX TASKS [OPTION of bams3 coverage …]
python submit.py my-queue job-definition.json s3://bucket/NA12878.bams3 s3://bucket/out/NA12878 16 --by 500
"""

import json
import sys
from pathlib import Path

import boto3

# In these bash scripts, $1 is the dataset, $2 the prefix and $3 the number of tasks. A task that runs again writes its
# part again.
TASK = 'bams3 coverage "$1" "${@:4}" --batch "array/$3" -o "$2.parts/$AWS_BATCH_JOB_ARRAY_INDEX-of-$3.depth"'
GATHER = """\
for ((i = 0; i < $3; i++)); do parts+=("$2.parts/$i-of-$3.depth"); done
bams3 coverage "$1" "${@:4}" -o "$2" --gather "${parts[@]}"
"""

if len(sys.argv) < 6 or sys.argv[5] not in map(str, range(2, 10_001)):  # sizes that AWS Batch allows
    sys.exit(__doc__)
queue, definition, *arguments = sys.argv[1:]
tasks = int(arguments[2])
batch = boto3.client("batch")
job = batch.register_job_definition(**json.loads(Path(definition).read_text()))["jobDefinitionArn"]


def submit(name: str, script: str, **properties: object) -> str:
    """Submit a job that runs a bash script; return its id."""
    run = {"command": ["bash", "-euc", script, name, *arguments]}
    return batch.submit_job(
        jobName=name, jobQueue=queue, jobDefinition=job, containerOverrides=run, **properties
    )["jobId"]


array = submit("coverage", TASK, arrayProperties={"size": tasks})
print("tasks   ", array)
print("gathered", submit("gather", GATHER, dependsOn=[{"jobId": array}]))
