/* Counts the system calls on files below a folder, makes one of them fail, or all of a kind as some file systems do,
   and records what is written.

   Loaded before libc (LD_PRELOAD). Its orders are in a file that the process maps (`struct control`, which shim.py
   describes, too), so they hold for child processes as well. Calls that libc makes by itself are not seen; Python,
   htslib and the kernels call libc. */
#define _GNU_SOURCE
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

static uint64_t inode_of(int file) {
    struct stat found;
    return fstat(file, &found) ? 0 : found.st_ino;
}

static int opened(int folder, const char *path, int flags, mode_t mode, int (*real)(int, const char *, int, mode_t)) {
    char whole[PATH_MAX];
    if (!inside(folder, path, whole)) return real(folder, path, flags, mode);
    int creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
    int error = fate(creates ? CREATE : OPEN);
    if (error > 0) {
        errno = error;
        return -1;
    }
    if (!control->log[0] || (flags & O_TMPFILE) == O_TMPFILE) return real(folder, path, flags, mode);
    pthread_mutex_lock(&lock);
    int is_new = access(whole, F_OK);
    int file = real(folder, path, flags, mode);
    if (file >= 0 && is_new) record(CREATE, inode_of(file), 0, whole, "", 0);
    if (file >= 0 && !is_new && (flags & O_TRUNC)) record(TRUNCATE, inode_of(file), 0, whole, "", 0);
    pthread_mutex_unlock(&lock);
    return file;
}

static int real_openat(int folder, const char *path, int flags, mode_t mode) {
    REAL(openat);
    return real(folder, path, flags, mode);
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

int open(const char *path, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, path, flags, mode, real_openat);
}

int open64(const char *path, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, path, flags | O_LARGEFILE, mode, real_openat);
}

int __open_2(const char *path, int flags) {
    return opened(AT_FDCWD, path, flags, 0, real_openat);
}

int __open64_2(const char *path, int flags) {
    return opened(AT_FDCWD, path, flags | O_LARGEFILE, 0, real_openat);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE(flags)
    return opened(folder, path, flags, mode, real_openat);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags)
    return opened(folder, path, flags | O_LARGEFILE, mode, real_openat);
}

/* Lowers `size` for a short count; returns the errno of a call that fails. */
static int limited(enum kind kind, int file, size_t *size) {
    char whole[PATH_MAX];
    if (!inside_file(file, whole)) return 0;
    int error = fate(kind);
    if (error == SHORT && *size > 1) *size /= 2;
    return error > 0 ? error : 0;
}

#define FAIL(error, value) \
    do { \
        int failed = (error); \
        if (failed) { \
            errno = failed; \
            return value; \
        } \
    } while (0)

ssize_t read(int file, void *data, size_t size) {
    REAL(read);
    FAIL(limited(READ, file, &size), -1);
    return real(file, data, size);
}

ssize_t pread64(int file, void *data, size_t size, off64_t at) {
    REAL(pread64);
    FAIL(limited(READ, file, &size), -1);
    return real(file, data, size, at);
}

ssize_t pread(int file, void *data, size_t size, off_t at) {
    return pread64(file, data, size, at);
}

static ssize_t written(int file, const void *data, size_t size, off64_t at) {
    char whole[PATH_MAX];
    REAL(pwrite64);
    int is_logged_here = control && control->armed && control->log[0] && inside_file(file, whole);
    if (is_logged_here) pthread_mutex_lock(&lock);
    ssize_t done = at < 0 ? write_it(file, data, size) : real(file, data, size, at);
    if (is_logged_here) {
        off64_t start = at < 0 ? lseek64(file, 0, SEEK_CUR) - done : at;
        if (done > 0) record(WRITE, inode_of(file), start, whole, data, done);
        pthread_mutex_unlock(&lock);
    }
    return done;
}

ssize_t write(int file, const void *data, size_t size) {
    FAIL(limited(WRITE, file, &size), -1);
    return written(file, data, size, -1);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    FAIL(limited(WRITE, file, &size), -1);
    return written(file, data, size, at);
}

#define ON_FILE(kind, file, value) \
    char whole[PATH_MAX]; \
    int counts = inside_file(file, whole); \
    if (counts) { \
        int error = fate(kind); \
        if (error > 0) FAIL(error, value); \
    }

#define LOGGED(call, kind, inode, offset, first, second, size) \
    if (!counts || !control->log[0]) return call; \
    pthread_mutex_lock(&lock); \
    uint64_t number = inode; \
    int result = call; \
    if (!result) record(kind, number, offset, first, second, size); \
    pthread_mutex_unlock(&lock); \
    return result

static int is_folder(int file) {
    struct stat found;
    return !fstat(file, &found) && S_ISDIR(found.st_mode);
}

int fsync(int file) {
    REAL(fsync);
    ON_FILE(SYNC, file, -1);
    if (counts && is_folder(file)) FAIL(control->always[FOLDER_SYNC], -1);
    LOGGED(real(file), SYNC, inode_of(file), 0, whole, "", 0);
}

int fdatasync(int file) {
    REAL(fdatasync);
    ON_FILE(SYNC, file, -1);
    LOGGED(real(file), SYNC, inode_of(file), 0, whole, "", 0);
}

int flock(int file, int operation) {
    char whole[PATH_MAX];
    REAL(flock);
    if (inside_file(file, whole)) FAIL(control->always[LOCK], -1);
    return real(file, operation);
}

int ftruncate64(int file, off64_t size) {
    REAL(ftruncate64);
    ON_FILE(TRUNCATE, file, -1);
    LOGGED(real(file, size), TRUNCATE, inode_of(file), size, whole, "", 0);
}

/* A file is closed even if that fails, which no file system does for a folder. */
int close(int file) {
    char whole[PATH_MAX];
    struct stat found;
    int counts = inside_file(file, whole) && !fstat(file, &found) && S_ISREG(found.st_mode);
    int error = counts ? fate(CLOSE) : 0;
    int result = close_it(file);
    if (counts) release(whole);
    if (error > 0) FAIL(error, -1);
    return result;
}

void *mmap64(void *at, size_t size, int protection, int flags, int file, off64_t offset) {
    if (file >= 0) {
        ON_FILE(MMAP, file, MAP_FAILED);
    }
    return mmap_it(at, size, protection, flags, file, offset);
}

void *mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
    return mmap64(at, size, protection, flags, file, offset);
}

#define ON_PATH(kind, folder, path, value) \
    char whole[PATH_MAX]; \
    int counts = inside(folder, path, whole); \
    if (counts) { \
        int error = fate(kind); \
        if (error > 0) FAIL(error, value); \
    }

static int renamed(int folder, const char *path, int to_folder, const char *to, unsigned flags) {
    REAL(renameat2);
    char target[PATH_MAX];
    ON_PATH(RENAME, folder, path, -1);
    int is_inside = inside(to_folder, to, target);
    if (counts && flags) FAIL(control->always[EXCHANGE], -1);
    if (counts && !flags && !access(target, F_OK)) FAIL(control->always[REPLACE], -1);
    if (counts && !flags && is_inside) kept(target);
    LOGGED(real(folder, path, to_folder, to, flags), flags & RENAME_EXCHANGE ? EXCHANGED : RENAME, 0, 0, whole, target,
           strlen(target));
}

int rename(const char *path, const char *to) {
    return renamed(AT_FDCWD, path, AT_FDCWD, to, 0);
}

int renameat(int folder, const char *path, int to_folder, const char *to) {
    return renamed(folder, path, to_folder, to, 0);
}

int renameat2(int folder, const char *path, int to_folder, const char *to, unsigned flags) {
    return renamed(folder, path, to_folder, to, flags);
}

int linkat(int folder, const char *path, int to_folder, const char *to, int flags) {
    REAL(linkat);
    char target[PATH_MAX];
    ON_PATH(LINK, folder, path, -1);
    inside(to_folder, to, target);
    LOGGED(real(folder, path, to_folder, to, flags), LINK, 0, 0, whole, target, strlen(target));
}

int link(const char *path, const char *to) {
    return linkat(AT_FDCWD, path, AT_FDCWD, to, 0);
}

int unlinkat(int folder, const char *path, int flags) {
    REAL(unlinkat);
    enum kind kind = flags & AT_REMOVEDIR ? RMDIR : UNLINK;
    ON_PATH(kind, folder, path, -1);
    if (counts && kind == UNLINK && kept(whole)) return 0;
    LOGGED(real(folder, path, flags), kind, 0, 0, whole, "", 0);
}

int unlink(const char *path) {
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path) {
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdirat(int folder, const char *path, mode_t mode) {
    REAL(mkdirat);
    ON_PATH(MKDIR, folder, path, -1);
    LOGGED(real(folder, path, mode), MKDIR, 0, 0, whole, "", 0);
}

int mkdir(const char *path, mode_t mode) {
    return mkdirat(AT_FDCWD, path, mode);
}

int stat64(const char *path, struct stat64 *found) {
    REAL(stat64);
    ON_PATH(STAT, AT_FDCWD, path, -1);
    return real(path, found);
}

int lstat64(const char *path, struct stat64 *found) {
    REAL(lstat64);
    ON_PATH(STAT, AT_FDCWD, path, -1);
    return real(path, found);
}

int fstatat64(int folder, const char *path, struct stat64 *found, int flags) {
    REAL(fstatat64);
    ON_PATH(STAT, folder, path, -1);
    return real(folder, path, found, flags);
}

DIR *opendir(const char *path) {
    REAL(opendir);
    ON_PATH(LIST, AT_FDCWD, path, NULL);
    return real(path);
}
