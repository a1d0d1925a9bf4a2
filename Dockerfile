# The image for jobs on AWS Batch (docs/aws-batch.md): bams3, Snakemake, and what Snakemake installs when a job starts.
FROM python:3.12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
COPY . /src
RUN pip wheel --no-cache-dir --wheel-dir /wheels '/src[aws-batch]'

FROM python:3.12-slim
# samtools and bcftools are for your own commands (`process` in the config).
RUN apt-get update && apt-get install -y --no-install-recommends samtools bcftools && rm -rf /var/lib/apt/lists/*
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels 'bams3[aws-batch]'
# With Snakemake, each job installs its storage plugin: from here, not from the network.
ENV PIP_NO_INDEX=1 PIP_NO_DEPS=1 PIP_FIND_LINKS=/wheels
