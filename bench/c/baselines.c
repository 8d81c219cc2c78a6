/* What C does for the same purpose. Each command prints one figure, or one a line, in nanoseconds. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long rounds;
static long count; /* guarded by what is measured */
static pthread_spinlock_t spin;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t ping, pong;
static _Atomic long missing; /* sides that are not here yet */
static double begins[2], ends[2];

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

/* Two sides run on two CPUs: on one they would take turns, and never meet. */
static void keep_on(long cpu)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
}

static void begin_side(void *side)
{
    keep_on((long)side);
    atomic_fetch_sub(&missing, 1);
    while (atomic_load(&missing) > 0) /* who were woken would begin when the other is through */
        ;
    begins[(long)side] = now();
}

static void *spin_side(void *side)
{
    begin_side(side);
    for (long round = 0; round < rounds; round++) {
        pthread_spin_lock(&spin);
        count++;
        pthread_spin_unlock(&spin);
    }
    ends[(long)side] = now();
    return side;
}

static long every; /* one hold of so many is exclusive */

static void *rwlock_side(void *side)
{
    volatile long seen = 0;
    begin_side(side);
    for (long round = 0; round < rounds; round++) {
        if (round % every == 0) {
            pthread_rwlock_wrlock(&rwlock);
            count++;
        } else {
            pthread_rwlock_rdlock(&rwlock);
            seen = count;
        }
        pthread_rwlock_unlock(&rwlock);
    }
    (void)seen;
    ends[(long)side] = now();
    return side;
}

static void *semaphore_side(void *side)
{
    sem_t *mine = side ? &ping : &pong, *other = side ? &pong : &ping;
    begin_side(side);
    if (!side)
        sem_post(other);
    for (long round = 0; round < rounds; round++) {
        sem_wait(mine);
        count++;
        sem_post(other);
    }
    ends[(long)side] = now();
    return side;
}

/* Nanoseconds a round; `sides` threads do `rounds` each. */
static double run(long sides, void *(*body)(void *))
{
    pthread_t threads[2];
    missing = sides;
    for (long side = 0; side < sides; side++)
        pthread_create(&threads[side], NULL, body, (void *)side);
    for (long side = 0; side < sides; side++)
        pthread_join(threads[side], NULL);
    double begin = begins[0], end = ends[0];
    if (sides == 2) {
        if (begins[1] < begin)
            begin = begins[1];
        if (ends[1] > end)
            end = ends[1];
    }
    return (end - begin) / (rounds * sides);
}

static _Atomic int bell, answered;
static volatile double heard;

static void futex(_Atomic int *word, int operation, int value)
{
    syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

static void *sleeper(void *unused)
{
    keep_on(1);
    for (long round = 1; round <= rounds; round++) {
        while (atomic_load(&bell) < round)
            futex(&bell, FUTEX_WAIT_PRIVATE, round - 1);
        heard = now();
        atomic_store(&answered, round);
    }
    return unused;
}

/* Wakes a thread that sleeps; one latency a line. */
static void wake(void)
{
    pthread_t thread;
    keep_on(0);
    pthread_create(&thread, NULL, sleeper, NULL);
    for (long round = 1; round <= rounds; round++) {
        for (double until = now() + 100e3; now() < until;)
            ;
        double begin = now();
        atomic_store(&bell, round);
        futex(&bell, FUTEX_WAKE_PRIVATE, 1);
        while (atomic_load(&answered) < round)
            ;
        printf("%.0f\n", heard - begin);
    }
    pthread_join(thread, NULL);
}

static int finish(double figure, long expected)
{
    if (count != expected) {
        fprintf(stderr, "the count is %ld and not %ld\n", count, expected);
        return 1;
    }
    printf("%f\n", figure);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    const char *what = argv[1];
    rounds = atol(argv[2]);
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    if (strcmp(what, "spin") == 0)
        return finish(run(1, spin_side), rounds);
    if (strcmp(what, "spin-contended") == 0)
        return finish(run(2, spin_side), rounds * 2);
    if (strcmp(what, "rwlock") == 0)
        return every = 1, finish(run(1, rwlock_side), rounds);
    if (strcmp(what, "rwlock-mostly") == 0)
        return every = 100, finish(run(2, rwlock_side), (rounds + 99) / 100 * 2);
    if (strcmp(what, "semaphores") == 0) {
        sem_init(&ping, 0, 0);
        sem_init(&pong, 0, 0);
        return finish(run(2, semaphore_side), rounds * 2);
    }
    if (strcmp(what, "wake") == 0) {
        wake();
        return 0;
    }
    return 2;
}
