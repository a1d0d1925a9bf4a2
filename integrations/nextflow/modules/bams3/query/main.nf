process BAMS3_QUERY {
    tag "${meta.id}"
    label 'process_medium'

    input:
    tuple val(meta), path(dataset)
    val regions
    path bed

    output:
    tuple val(meta), path("${prefix}.bam"), emit: bam
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def chosen = bed ? "--regions-file ${bed}" : regions.collect { region -> "'" + region.replace("'", "'\\''") + "'" }.join(' ')
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    bams3 query ${args} --parallel ${task.cpus} -O bam -o ${prefix}.bam ${dataset} ${chosen}

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        bams3: \$(bams3 --version | cut -d " " -f 2)
    END_VERSIONS
    """

    stub:
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    touch ${prefix}.bam

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        bams3: \$(bams3 --version | cut -d " " -f 2)
    END_VERSIONS
    """
}
