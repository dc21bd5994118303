"""A clock of the host, as one fleet sees it, that a test can set: all other processes keep theirs."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long ahead(void) {
    static volatile long *shared;
    static long none;
    if (!shared) {
        const char *path = getenv("JUMPING_CLOCK");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *page = fd < 0 ? MAP_FAILED : mmap(0, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);
        if (fd >= 0) close(fd);
        shared = page == MAP_FAILED ? &none : page;
    }
    return *shared;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += ahead();
    return failed;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
"""


class JumpingClock:
    """Compiles the clock into `folder`; `environ` is for the fleet that shall have it."""

    def __init__(self, folder: Path) -> None:
        library, self._ahead = folder / "clock.so", folder / "clock.ahead"
        self._ahead.write_bytes(bytes(8))
        source = folder / "clock.c"
        source.write_text(SOURCE)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        self.environ = {"LD_PRELOAD": str(library), "JUMPING_CLOCK": str(self._ahead)}

    def jump(self, ahead_s: int) -> None:
        """Be so far ahead of the host's clock from now on."""
        with self._ahead.open("r+b") as file:
            file.write(struct.pack("q", ahead_s))
