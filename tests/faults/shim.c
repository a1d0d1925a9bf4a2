/* Counts the system calls on files below a folder, makes one of them fail, or all of a kind as some file systems do,
   and records what is written, as orders.h says.

   Loaded before libc (LD_PRELOAD). Calls that libc makes by itself are not seen; Python, htslib and the kernels call
   libc. */
#define _GNU_SOURCE
#include "orders.h"

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
