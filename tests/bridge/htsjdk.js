// Prints, as SAM, what htsjdk finds by the index in a region of each BAM: a path, a URL, or a URL of htsget.
// Arguments: contig, first and last position (1-based), BAMs. A line with dashes follows the records of each.
var samtools = Packages.htsjdk.samtools, silent = samtools.ValidationStringency.SILENT;

function reader(place) {
    if (/\/reads\//.test(place)) {
        var records = samtools.DefaultSAMRecordFactory.getInstance();
        return new samtools.HtsgetBAMFileReader(java.net.URI.create(place), true, silent, records, false);
    }
    var at = /^http/.test(place) ? function (text) { return new java.net.URL(text); } : java.nio.file.Paths.get;
    var resource = samtools.SamInputResource.of(at(place)).index(at(place + ".bai"));
    return samtools.SamReaderFactory.makeDefault().validationStringency(silent).open(resource);
}

for (var number = 3; number < arguments.length; number++) {
    var found = reader(arguments[number]).query(arguments[0], +arguments[1], +arguments[2], false);
    while (found.hasNext()) print(found.next().getSAMString().trim());
    print("--");
}
