process BAMS3_COVERAGE {
    tag "${meta.id}"
    label 'process_single'

    input:
    tuple val(meta), path(dataset), path(parts)
    path bed

    output:
    tuple val(meta), path('*.mosdepth.summary.txt'), emit: summary_txt
    tuple val(meta), path('*.mosdepth.global.dist.txt'), emit: global_txt
    tuple val(meta), path('*.mosdepth.region.dist.txt'), emit: regions_txt, optional: true
    tuple val(meta), path('*.bed.gz'), emit: bed, optional: true
    tuple val(meta), path('*.bed.gz.csi'), emit: csi, optional: true
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def prefix = task.ext.prefix ?: "${meta.id}"
    def gather = parts ? "--gather ${parts}" : ''
    def by = bed ? "--by ${bed}" : ''
    """
    bams3 coverage ${args} ${by} -o ${prefix} ${dataset} ${gather}

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        bams3: \$(bams3 --version | cut -d " " -f 2)
    END_VERSIONS
    """

    stub:
    def prefix = task.ext.prefix ?: "${meta.id}"
    """
    touch ${prefix}.mosdepth.summary.txt ${prefix}.mosdepth.global.dist.txt

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        bams3: \$(bams3 --version | cut -d " " -f 2)
    END_VERSIONS
    """
}
