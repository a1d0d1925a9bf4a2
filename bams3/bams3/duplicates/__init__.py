"""Which reads are duplicates of others, as `samtools markdup` finds them."""
