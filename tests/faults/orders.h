/* The orders for the library of shim.c: what is to happen to a call, and where to record what is written.

   They are in a file that the process maps (`struct control`, which shim.py describes, too), so they hold for child
   processes as well. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { OPEN, CREATE, READ, WRITE, SYNC, RENAME, LINK, UNLINK, MKDIR, RMDIR, CLOSE, MMAP, TRUNCATE, STAT, LIST };
enum trait { LOCK = LIST + 1, EXCHANGE, REPLACE, FOLDER_SYNC, TRAITS }; /* what else a file system may refuse */
enum { SHORT = -1, KILL = -2, CALLS = 1 << 16, EXCHANGED = 100, OLD = 1000 };

struct control {
    char root[1024]; /* of the files that count */
    char log[1024];  /* the file that records what is written; empty: none */
    int32_t armed, at, error, sticky;
    uint32_t mask; /* the kinds that may fail, a bit for each */
    int32_t calls, fired;
    int32_t always[TRAITS]; /* the errno of every call of a kind; 0: none */
    int32_t keeps;          /* whether a file that is open, or older than OLD, stays as .nfs… when it is removed */
    uint8_t kinds[CALLS];
};

struct entry { /* of the log; two texts follow */
    uint32_t kind, first, second, unused;
    uint64_t inode, offset;
};

static struct control *control;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int open_it(const char *path, int flags, mode_t mode) {
    REAL(open);
    return real(path, flags, mode);
}

static ssize_t write_it(int file, const void *data, size_t size) {
    REAL(write);
    return real(file, data, size);
}

static int close_it(int file) {
    REAL(close);
    return real(file);
}

static void *mmap_it(void *at, size_t size, int protection, int flags, int file, off_t offset) {
    REAL(mmap);
    return real(at, size, protection, flags, file, offset);
}

int faults_use(const char *path) {
    int file = open_it(path, O_RDWR | O_CLOEXEC, 0);
    if (file < 0) return -1;
    void *mapped = mmap_it(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close_it(file);
    if (mapped == MAP_FAILED) return -1;
    control = mapped;
    return 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_CONTROL");
    if (path) faults_use(path);
}

/* The absolute path of a file: 0 if it is none that counts. */
static int inside(int folder, const char *path, char *whole) {
    if (!control || !control->armed) return 0;
    size_t used = 0;
    if (path == NULL || path[0] != '/') {
        char name[64];
        snprintf(name, sizeof name, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
        ssize_t length = readlink(name, whole, PATH_MAX - 1);
        if (length < 0) return 0;
        used = length;
        whole[used] = 0;
    }
    if (path && (size_t)snprintf(whole + used, PATH_MAX - used, used ? "/%s" : "%s", path) >= PATH_MAX - used)
        return 0;
    size_t length = strlen(control->root);
    return !strncmp(whole, control->root, length) && (whole[length] == '/' || !whole[length]);
}

static int inside_file(int file, char *whole) {
    return inside(file, NULL, whole);
}

/* What is to happen to a call: nothing (0), an errno, or SHORT. With KILL, the process ends before the call. */
static int fate(enum kind kind) {
    int number = __atomic_add_fetch(&control->calls, 1, __ATOMIC_SEQ_CST);
    if (number < CALLS) control->kinds[number] = kind + 1;
    if (control->always[kind]) return control->always[kind];
    int now = number == control->at || (control->sticky && control->at && number > control->at);
    if (!now || !(control->mask >> kind & 1)) return 0;
    __atomic_add_fetch(&control->fired, 1, __ATOMIC_SEQ_CST);
    if (control->error == KILL) {
        kill(getpid(), 9);
        pause();
    }
    return control->error;
}

static int is_open(const char *path) {
    char name[64], target[PATH_MAX];
    for (int file = 0; file < 256; file++) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", file);
        ssize_t length = readlink(name, target, PATH_MAX - 1);
        if (length < 0) continue;
        target[length] = 0;
        if (!strcmp(target, path)) return 1;
    }
    return 0;
}

/* What NFS does to a file that is removed while somebody has it open: here, one of before the run. */
static int kept(const char *path) {
    static int number;
    struct stat found;
    char name[PATH_MAX + 40];
    if (!control->keeps || lstat(path, &found) || !S_ISREG(found.st_mode)) return 0;
    if (found.st_mtime >= OLD && !is_open(path)) return 0;
    snprintf(name, sizeof name, "%.*s/.nfs%016lx%08x", (int)(strrchr(path, '/') - path), path,
             (unsigned long)found.st_ino, __atomic_add_fetch(&number, 1, __ATOMIC_SEQ_CST) + (getpid() << 8));
    REAL(renameat2);
    return !real(AT_FDCWD, path, AT_FDCWD, name, 0);
}

static void release(const char *path) {
    struct stat found;
    const char *name = strrchr(path, '/');
    REAL(unlinkat);
    if (control->keeps && name && !strncmp(name, "/.nfs", 5) && !lstat(path, &found) && found.st_mtime >= OLD &&
        !is_open(path))
        real(AT_FDCWD, path, 0);
}

static void record(uint32_t kind, uint64_t inode, uint64_t offset, const char *first, const void *second, size_t size) {
    int file = open_it(control->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct entry entry = {kind, strlen(first), size, 0, inode, offset};
    char *text = malloc(sizeof entry + entry.first + size);
    memcpy(text, &entry, sizeof entry);
    memcpy(text + sizeof entry, first, entry.first);
    if (size) memcpy(text + sizeof entry + entry.first, second, size);
    if (file < 0 || write_it(file, text, sizeof entry + entry.first + size) < 0) abort();
    free(text);
    close_it(file);
}
