"""The dictionary that footers are compressed with, so that footers of small chunks take few bytes. It is part of the
format: docs/format.md, "Dictionary", has the same text. It must never change."""

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zstandard import ZstdCompressionDict

LEVEL = 9
TEXT = (
    rb'"tag.RX:Z":["rans0","tag.CB:Z":["zstd","tag.UB:Z":["zstd","tag.BC:Z":["zstd","tag.XA:Z":["raw","tag.SA:Z":["'
    rb'raw","tag.MM:Z":["zstd","tag.ML:BC":["rans1","tag.ML:BC.count":["raw","tag.mv:Bc":["rans0","tag.HP:C":["raw"'
    rb',"tag.MD:Z":["raw","tag.NM:C":["raw","tag.ms:I":["planes","tag.AS:I":["planes","tag.nn:i":["raw","tag.NH:C":'
    rb'["constant",1,"tag.HI:C":["raw","tag.XT:A":["constant",1,"tag.PG:Z":["constant",1,"tag.PG:Z.values":["raw","'
    rb'tag.RG:Z":["constant",1,"name":["zstd","seq.length":["raw","seq.length.long":["raw","seq.pad":["raw","seq.li'
    rb'teral.other":["raw","seq.literal.base":["raw","reference.other":["raw","reference.base":["raw","qual.model":'
    rb'["raw","bin":["raw","cigar.placeholder":["raw","mate.tlen":["raw","mate.tlen.long":["raw","seq.mismatch.long'
    rb'":["raw","pos.long":["planes","cigar.long":["raw","cigar.count.long":["raw","cigar.length.long":["planes","l'
    rb'ink.long":["planes","border.long":["raw","mate.ref":["raw","mate.ref.long":["raw","mate.pos":["raw","mate.po'
    rb's.long":["planes",{"dataset":"0123456789abcdef0123456789abcdef","reference_id":0,"start":0,"end":1048576,"le'
    rb'vel":5,"references":[[0,"chr1",248956422]],"encodings":{"positions":"delta","flags":"mirror","cigars":"dicti'
    rb'onary","templates":"link","mates":"rules","names":"patterns","sequences":"differences","qualities":"packed",'
    rb'"tags":"derived"},"row_groups":[{"records":200,"bytes":69742,"min_pos":36672669,"max_pos":36693805,"max_end"'
    rb':36693955,"min_mapq":0,"max_mapq":60,"flags_any":1267,"flags_all":3,"references":[0],"read_groups":["1"],"cr'
    rb'c32":1094954845,"streams":{"name.0":["planes",155,200],"name.1":["raw",200,200],"name.2":["raw",200,200],"na'
    rb'me.patterns":["zstd",60,116],"name.pattern":["rans0",36,100],"seq.length":["constant",1,200],"reference":["z'
    rb'std",531,609],"seq.mismatches":["rans0",35,200],"seq.mismatch":["raw",58,58],"seq.substitute":["rans0",23,58'
    rb'],"seq.literal":["raw",42,42],"qual":["rans1",2076,7500],"qual.values":["raw",4,4],"tag.layout":["rans0",13,'
    rb'200],"tag.layouts":["zstd",56,72],"tag.AS:C":["rans0",49,200],"tag.XS:C":["rans0",66,200],"tag.ms:S":["rans0'
    rb'",66,200],"tag.RG:Z":["constant",1,200],"tag.RG:Z.values":["raw",5,5],"pos":["rans0",137,200],"pos.long":["r'
    rb'aw",20,20],"cigar":["rans0",14,200],"cigar.count":["raw",7,7],"cigar.op":["raw",13,13],"cigar.length":["raw"'
    rb',13,13],"link":["zstd",108,200],"border":["raw",26,26],"border.hash":["raw",208,208],"flag":["rans0",27,100]'
    rb',"flag.next":["constant",1,100],"flag.values":["raw",16,16],"mapq":["rans0",104,200],"mate":["constant",1,20'
    rb'0]},"checksums":[3152618228,3270248525]}],"header":"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:248956'
    rb'422\tM5:\tAS:GRCh38\tUR:file:/reference/genome.fa\tSP:Homo sapiens\n@SQ\tSN:chrX\tLN:156040895\n@RG'
    rb'\tID:1\tSM:sample\tLB:lib1\tPL:ILLUMINA\tPU:unit1\tCN:\tDT:2024-01-01T00:00:00+00:00\tDS:READTYPE=CC'
    rb'S;PM:SEQUEL\n@PG\tID:bwa\tPN:bwa\tVN:0.7.17-r1188\tCL:bwa mem -t 8 -R @RG\\tID:1\\tSM:sample refere'
    rb'nce.fa reads_1.fastq.gz reads_2.fastq.gz\n@PG\tID:minimap2\tPN:minimap2\tVN:2.24-r1122\tCL:minimap2 -a'
    rb'x map-ont -t 8\n@PG\tID:samtools\tPN:samtools\tPP:bwa\tVN:1.16.1\tCL:samtools sort -@ 8 -o out.bam -'
    rb'\n@PG\tID:samtools.1\tPN:samtools\tPP:samtools\tVN:1.16.1\tCL:samtools fixmate -m -u - -\n@PG\tID:Ma'
    rb'rkDuplicates\tVN:2.27\tCL:MarkDuplicates\tPN:MarkDuplicates\n"}'
)  # fmt: skip


@lru_cache(1)
def dictionary() -> "ZstdCompressionDict":
    """The dictionary for zstd: `TEXT` as raw content."""
    import zstandard

    return zstandard.ZstdCompressionDict(TEXT, dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def deflated(text: bytes) -> bytes:
    """Compress the JSON of a footer to one zstd frame, whose header has the content size."""
    from bams3.codec.streams import deflate

    return deflate(text, LEVEL, dictionary())
