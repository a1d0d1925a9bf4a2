#!/usr/bin/env nextflow
// Converts samples to datasets. For each dataset, the parameters can ask for extracts, coverage, and a command on every
// chunk. docs/engines/nextflow.md explains parameters and profiles.

include { BAMS3_CONVERT as CONVERT } from './modules/bams3/convert/main'
include { BAMS3_QUERY as QUERY } from './modules/bams3/query/main'
include { BAMS3_COVERAGEBATCH as COVERAGE_BATCH } from './modules/bams3/coveragebatch/main'
include { BAMS3_COVERAGE as COVERAGE } from './modules/bams3/coverage/main'
include { BAMS3_CHUNKS as CHUNKS } from './modules/bams3/chunks/main'
include { BAMS3_PROCESSCHUNK as PROCESS_CHUNK } from './modules/bams3/processchunk/main'

// The parameters that nextflow.config describes; the user's own configuration may set others, for other pipelines.
def known_parameters() {
    return [
        'input', 'outdir', 'reference', 'bed', 'chunk_size', 'batches', 'query', 'regions', 'query_args', 'coverage',
        'coverage_args', 'command', 'suffix',
    ]
}

// What is wrong with the parameters. One without a value is true.
def mistakes_of_parameters() {
    def flags = ['query', 'coverage']
    def mistakes = (known_parameters() - flags).findAll { name -> params[name] == true }.collect { name -> "--${name}: give a value" }
    if (!params.input) {
        mistakes << "give --input samples.tsv, with the columns sample, and alignments or dataset"
    }
    if (!(params.batches.toString() ==~ /[1-9][0-9]*/)) {
        mistakes << "--batches ${params.batches}: give a positive number"
    }
    return mistakes
}

// The rows of a sample sheet, in the format of the Snakemake workflow.
def read_samples(path) {
    def rows = file(path, checkIfExists: true).splitCsv(header: true, sep: '\t').findAll { row -> !row.sample?.startsWith('#') }
    def mistakes = rows.collectMany { row -> mistakes_of(row).collect { mistake -> "${path}: sample ${row.sample}: ${mistake}" } }
    mistakes += rows.countBy { row -> row.sample }.findAll { name, count -> count > 1 }.collect { name, count ->
        "${path}: sample ${name} occurs ${count} times; keep one row"
    }
    if (mistakes) {
        error(mistakes.join('\n'))
    }
    return rows
}

// What is wrong with a row.
def mistakes_of(row) {
    def mistakes = []
    if (!(row.sample ==~ /[A-Za-z0-9][A-Za-z0-9._-]*/)) {
        mistakes << "a name may have letters, digits and ._-"
    }
    if (row.values().any { cell -> cell && cell =~ /:\/\/([^\/]*@|[^?]*\?)/ }) {
        mistakes << "a secret in a URL would be stored and printed; remove it, and give credentials in the environment"
    }
    if (!row.alignments == !row.dataset) {
        mistakes << "give alignments or dataset"
    }
    return mistakes
}

// A row as an input of CONVERT: [meta, alignments, index or []].
def alignments_of(row) {
    def stem = row.alignments.replaceFirst(/\.[^.]+$/, '')
    def beside = ['.bai', '.csi', '.crai'].collectMany { suffix -> [row.alignments + suffix, stem + suffix] }
    def index = row.index ?: beside.find { name -> file(name).exists() }
    return [[id: row.sample], file(row.alignments, checkIfExists: true), index ? file(index, checkIfExists: true) : []]
}

// A list of the chunks of a dataset as inputs of PROCESS_CHUNK: [meta, chunk], with its name and region in meta.
def chunks_of(meta, dataset, list) {
    return new groovy.json.JsonSlurper().parseText(list.text).collect { chunk ->
        def name = chunk.uri.tokenize('/')[-2..-1].join('-') - ~/\.chunk$/
        [meta + [chunk: name, region: chunk.region], dataset.parent.resolve(chunk.uri)]
    }
}

// The depth of each sample in batches of windows, and mosdepth's files of all batches.
workflow COVERAGE_BY_BATCHES {
    take:
    datasets // [meta, dataset]
    bed // regions, or []

    main:
    batches = channel.of(1..params.batches).map { number -> "${number}/${params.batches}".toString() }
    COVERAGE_BATCH(datasets.combine(batches), bed)
    parts = COVERAGE_BATCH.out.part.groupTuple(size: params.batches, sort: { part -> part.name })
    COVERAGE(datasets.join(parts), bed)

    emit:
    summary = COVERAGE.out.summary_txt
}

// A command on each chunk of each sample, all chunks at once.
workflow PROCESS_CHUNKS {
    take:
    datasets // [meta, dataset]
    command

    main:
    CHUNKS(datasets)
    chunks = datasets.join(CHUNKS.out.chunks).flatMap { meta, dataset, list -> chunks_of(meta, dataset, list) }
    PROCESS_CHUNK(chunks, command)

    emit:
    output = PROCESS_CHUNK.out.output
}

workflow {
    def unknown = params.keySet() - known_parameters()
    if (unknown) {
        log.warn("unknown parameters are ignored: ${unknown.join(', ')}; known parameters: ${known_parameters().join(', ')}")
    }
    def mistakes = mistakes_of_parameters()
    if (mistakes) {
        error(mistakes.join('\n'))
    }
    given = channel.fromList(read_samples(params.input)).branch { row ->
        datasets: row.dataset
            return [[id: row.sample], file(row.dataset, checkIfExists: true)]
        alignments: true
            return alignments_of(row)
    }
    CONVERT(given.alignments, params.reference ? file(params.reference, checkIfExists: true) : [])
    datasets = CONVERT.out.dataset.mix(given.datasets)
    bed = params.bed ? file(params.bed, checkIfExists: true) : []

    if (params.query) {
        QUERY(datasets, params.regions ? params.regions.tokenize(' ') : [], params.regions ? [] : bed)
    }
    if (params.coverage) {
        COVERAGE_BY_BATCHES(datasets, bed)
    }
    if (params.command) {
        PROCESS_CHUNKS(datasets, params.command)
    }
}
