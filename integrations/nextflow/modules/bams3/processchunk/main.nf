process BAMS3_PROCESSCHUNK {
    tag "${meta.id} ${meta.region}"
    label 'process_single'

    conda "${moduleDir}/../environment.yml"

    input:
    tuple val(meta), path(chunk)
    val command

    output:
    tuple val(meta), path("${prefix}"), emit: output
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def name = task.ext.prefix ?: "${meta.id}.${chunk.baseName}"
    def words = ['{chunk}': chunk, '{region}': meta.region, '{sample}': meta.id, '{output}': name]
    def line = words.inject(command) { text, word, value ->
        text.replace(word, "'" + value.toString().replace("'", "'\\''") + "'")
    }
    prefix = name
    """
    ${line}

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        bams3: \$(bams3 --version | cut -d " " -f 2)
    END_VERSIONS
    """

    stub:
    prefix = task.ext.prefix ?: "${meta.id}.${chunk.baseName}"
    """
    touch '${prefix}'

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        bams3: \$(bams3 --version | cut -d " " -f 2)
    END_VERSIONS
    """
}
