#include "DirqlBridge.h"

static Stream *stream;
static uint16_t levels;
static struct bridge_port port;

static int16_t readByte(void)
{
  return (int16_t)stream->read();
}

static uint8_t writeByte(uint8_t byte)
{
  return stream->availableForWrite() > 0 && stream->write(byte) == 1;
}

static uint32_t boardMicros(void)
{
  return micros();
}

static uint16_t activeLines(uint16_t listening)
{
  return levels & listening;
}

void DirqlBridge::begin(Stream &serial, uint32_t baud, const char *name, uint32_t bootCount,
                        const struct bridge_device *const *devices, uint8_t deviceCount)
{
  stream = &serial;
  port.read = readByte;
  port.write = writeByte;
  port.micros = boardMicros;
  port.lines = activeLines;
  port.devices = devices;
  port.device_count = deviceCount;
  port.name = name;
  port.version = "1.0.0";
  port.unique_id = "-";
  port.boot_count = bootCount;
  port.retransmit_us = 3000 + 2000000000UL / baud;
  bridge_start(&port);
}

void DirqlBridge::setLevel(uint8_t line, bool isActive)
{
  const uint16_t bit = (uint16_t)1 << line;
  levels = isActive ? levels | bit : levels & ~bit;
}

void DirqlBridge::poll()
{
  bridge_poll();
}
