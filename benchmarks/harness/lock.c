/* Samples which thread uses CPU time: `sampled.py` compiles and loads this.
 *
 * A timer of the process' CPU time sends SIGPROF to the thread that runs. Each sample is counted by two bits: 1, the
 * thread holds Python's lock; 2, it is the main thread. */
#define _GNU_SOURCE
#include <Python.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define INTERVAL 1000 /* microseconds of CPU time */

static volatile long samples[4];

static void sample(int signal_number) {
    (void)signal_number;
    int locked = PyGILState_Check(), main_thread = syscall(SYS_gettid) == getpid();
    __atomic_add_fetch(&samples[2 * main_thread + locked], 1, __ATOMIC_RELAXED);
}

static void run_timer(long microseconds) {
    struct itimerval every = {{0, microseconds}, {0, microseconds}};
    setitimer(ITIMER_PROF, &every, NULL);
}

void start(void) {
    struct sigaction action = {0};
    action.sa_handler = sample;
    action.sa_flags = SA_RESTART;
    sigaction(SIGPROF, &action, NULL);
    run_timer(INTERVAL);
}

/* Stop, and copy the counts: samples without the lock and with it, then those of the main thread, likewise. */
void stop(long *counts) {
    run_timer(0);
    for (int i = 0; i < 4; i++)
        counts[i] = samples[i];
}
