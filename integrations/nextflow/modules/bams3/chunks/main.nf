process BAMS3_CHUNKS {
    tag "${meta.id}"
    label 'process_single'

    input:
    tuple val(meta), path(dataset)

    output:
    tuple val(meta), path("${prefix}.chunks.json"), emit: chunks
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    bams3 chunks ${args} --format json ${dataset} > ${prefix}.chunks.json

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        bams3: \$(bams3 --version | cut -d " " -f 2)
    END_VERSIONS
    """

    stub:
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    echo '[]' > ${prefix}.chunks.json

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        bams3: \$(bams3 --version | cut -d " " -f 2)
    END_VERSIONS
    """
}
