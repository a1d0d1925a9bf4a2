/* Counts the blocks of code that have run at least once: gcc calls a function at the start of each
   (-fsanitize-coverage=trace-pc). Processes that are forked share the count. How often each ran is in bams3_counters,
   for libFuzzer, which sets them to 0 before each input. */

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { BITS = 22, COUNTER_BITS = 16 };

static uint8_t *ran; /* one byte for each hash of an address */
uint64_t *bams3_blocks;
uint8_t bams3_counters[1 << COUNTER_BITS];
uint64_t bams3_number_of_counters = sizeof(bams3_counters);

__attribute__((constructor)) static void begin(void) {
    uint8_t *shared = mmap(
        NULL, sizeof(uint64_t) + ((size_t)1 << BITS), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) abort();
    bams3_blocks = (uint64_t *)shared;
    ran = shared + sizeof(uint64_t);
}

void __sanitizer_cov_trace_pc(void) {
    uint64_t address = (uintptr_t)__builtin_return_address(0);
    uint64_t hash = address * UINT64_C(0x9E3779B97F4A7C15);
    uint8_t *block = &ran[hash >> (64 - BITS)];
    bams3_counters[hash >> (64 - COUNTER_BITS)]++;
    if (!*block && !__atomic_exchange_n(block, 1, __ATOMIC_RELAXED))
        __atomic_add_fetch(bams3_blocks, 1, __ATOMIC_RELAXED);
}
