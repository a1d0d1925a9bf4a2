process BAMS3_PROCESSCHUNK {
    tag "${meta.id} ${meta.region.replaceAll(/\p{Cntrl}/, '?')}"
    label 'process_single'

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
    // As in bams3 map: the values are in variables, which replace the placeholders where bash reads one word.
    def values = [CHUNK: chunk.name, REGION: meta.region, SAMPLE: meta.id, OUTPUT: name]
    def variables = values.collect { word, value ->
        "BAMS3_${word}='" + value.toString().replace("'", "'\\''") + "'"
    }.join(' ')
    def (quoted, evaluated) = ['quoted', 'evaluated'].collect { rule -> file("${moduleDir}/${rule}.regex").text.trim() }
    def placeholder = '\\{(chunk|region|sample|output)\\}'
    def tokens = java.util.regex.Pattern.compile("${quoted}|${placeholder}").matcher(command)
    def line = new StringBuilder()
    while (tokens.find()) {
        def within = java.util.regex.Pattern.compile(placeholder).matcher(tokens.group())
        def put = tokens.group()
        if (within.find()) {
            def variable = '"$BAMS3_' + within.group(1).toUpperCase() + '"'
            def before = java.util.regex.Pattern.compile(evaluated).matcher(command.substring(0, tokens.start()))
            if (!tokens.group(1) || before.find()) {
                error("{${within.group(1)}} stands in quotes, in a comment, or in the code of another program: use ${variable}")
            }
            put = variable
        }
        tokens.appendReplacement(line, java.util.regex.Matcher.quoteReplacement(put))
    }
    tokens.appendTail(line)
    if (meta.id.toString().startsWith('-')) {
        error("${meta.id}: this name would be taken for an option; rename the sample")
    }
    prefix = name
    """
    export ${variables}
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
