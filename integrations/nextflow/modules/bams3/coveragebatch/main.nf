process BAMS3_COVERAGEBATCH {
    tag "${meta.id} ${batch}"
    label 'process_single'

    input:
    tuple val(meta), path(dataset), val(batch)
    path bed

    output:
    tuple val(meta), path("${prefix}.depth"), emit: part
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def by = bed ? "--by ${bed}" : ''
    prefix = task.ext.prefix ?: "${meta.id}.${batch.replace('/', '-of-')}"
    """
    bams3 coverage ${args} ${by} --batch ${batch} -o ${prefix}.depth ${dataset}

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        bams3: \$(bams3 --version | cut -d " " -f 2)
    END_VERSIONS
    """

    stub:
    prefix = task.ext.prefix ?: "${meta.id}.${batch.replace('/', '-of-')}"
    """
    touch ${prefix}.depth

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        bams3: \$(bams3 --version | cut -d " " -f 2)
    END_VERSIONS
    """
}
