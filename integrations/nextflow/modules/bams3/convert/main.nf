process BAMS3_CONVERT {
    tag "${meta.id}"
    label 'process_medium'

    input:
    tuple val(meta), path(alignments), path(index)
    path fasta

    output:
    tuple val(meta), path("${prefix}.bams3"), emit: dataset
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def reference = fasta ? "--reference ${fasta}" : ''
    def beside = index ? "--index ${index}" : ''
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    bams3 convert ${args} --workers ${task.cpus} ${reference} ${beside} ${alignments} ${prefix}.bams3

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        bams3: \$(bams3 --version | cut -d " " -f 2)
    END_VERSIONS
    """

    stub:
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    mkdir ${prefix}.bams3

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        bams3: \$(bams3 --version | cut -d " " -f 2)
    END_VERSIONS
    """
}
