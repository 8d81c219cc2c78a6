/*
 * The firmware as a program: hosted [--boot COUNT] [PATH]. It talks over standard input and output, or over the device at
 * PATH (a PTY). It ends when the other side closes.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "devices.h"

static int in = 0, out = 1;
static uint8_t is_over;

static uint8_t read_bytes[256], write_bytes[256];
static size_t read_count, read_at, write_count;

static int16_t read_byte(void)
{
  if (read_at == read_count) {
    const ssize_t got = read(in, read_bytes, sizeof read_bytes);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) is_over = 1;
    read_at = 0;
    read_count = got > 0 ? (size_t)got : 0;
  }
  return read_at < read_count ? read_bytes[read_at++] : -1;
}

static void drain(void)
{
  if (!write_count) return;
  const ssize_t put = write(out, write_bytes, write_count);
  if (put < 0 && errno != EAGAIN && errno != EINTR) is_over = 1;
  if (put <= 0) return;
  write_count -= (size_t)put;
  memmove(write_bytes, write_bytes + put, write_count);
}

static uint8_t write_byte(uint8_t byte)
{
  if (write_count == sizeof write_bytes) return 0;
  write_bytes[write_count++] = byte;
  return 1;
}

uint32_t hosted_micros(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint32_t)((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

static void wait_a_little(uint8_t is_busy)
{
  struct pollfd ends[2] = {{.fd = in, .events = POLLIN}, {.fd = out, .events = POLLOUT}};
  (void)poll(ends, write_count ? 2 : 1, is_busy ? 1 : 10);
}

/* A terminal must pass on each byte as it is, and echo none. */
static void make_raw(int end)
{
  struct termios settings;
  if (tcgetattr(end, &settings) != 0) return;
  settings.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INLCR | IGNCR | ISTRIP | IXON | IXOFF);
  settings.c_oflag &= ~(tcflag_t)OPOST;
  settings.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN | ISIG);
  (void)tcsetattr(end, TCSANOW, &settings);
}

static void make_nonblocking(int end)
{
  (void)fcntl(end, F_SETFL, fcntl(end, F_GETFL) | O_NONBLOCK);
}

int main(int count, char **arguments)
{
  struct bridge_port port = {
    .read = read_byte,
    .write = write_byte,
    .micros = hosted_micros,
    .lines = hosted_lines,
    .devices = hosted_devices,
    .device_count = 3,
    .name = "dirql-hosted",
    .version = "1.0.0",
    .unique_id = "-",
    .boot_count = (uint32_t)getpid(),
    .retransmit_us = 20000,
  };
  for (int i = 1; i < count; i++) {
    if (strcmp(arguments[i], "--boot") == 0 && i + 1 < count) {
      port.boot_count = (uint32_t)strtoul(arguments[++i], NULL, 10);
    } else {
      in = out = open(arguments[i], O_RDWR | O_NOCTTY);
      if (in < 0) {
        perror(arguments[i]);
        return 2;
      }
      make_raw(in);
    }
  }
  make_nonblocking(in);
  make_nonblocking(out);
  bridge_start(&port);
  while (!is_over) {
    const uint8_t is_busy = bridge_poll();
    drain();
    if (read_at == read_count) wait_a_little(is_busy);
  }
  return 0;
}
