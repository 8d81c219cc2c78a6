/* The adc class (docs/hardware/adc.md). */
#include "classes.h"
#include "converter.h"

#define CHANNELS_MOST 8
#define LEAST_PERIOD_US 500
#define STREAM_ROOM 32 /* a power of two */

enum {
  CONTROL,
  CHANNELS,
  PERIOD,
  LOW,
  HIGH,
  DATA,
  LEVEL,
  SAMPLES,
  LOST,
  OUTSIDE,
  CROSSINGS,
  TIME,
  PRESENT,
  RESOLUTION,
  SAMPLE = 16
};
enum { RUN = 1, STREAM = 2, WATCH = 4 };
enum { THRESHOLD_LINE, DATA_LINE };

static uint32_t control, channels, period_us, low, high;
static uint32_t samples, lost, crossings, crossing_time;
static uint16_t newest[CHANNELS_MOST];
static uint8_t outside;
static uint16_t threshold_edges, data_edges;

/*
 * Samples on their way to the host: value, and above it channel and whether the scan ends with it. SAMPLES and the edges of
 * `data` count a sample when it is sent: a frame never tells of one that comes behind it, and a stream cannot hold it up.
 */
#define VALUE_BITS 12
#define ENDS_SCAN 0x8000
static uint16_t stream[STREAM_ROOM];
static uint8_t stream_put, stream_taken;
static uint8_t scan_has_entries;

static void begin(void)
{
  control = channels = low = 0;
  period_us = 10000;
  high = 0xffff;
  samples = lost = crossings = crossing_time = 0;
  for (uint8_t i = 0; i < CHANNELS_MOST; i++) newest[i] = 0;
  outside = 0;
  threshold_edges = data_edges = 0;
  stream_put = stream_taken = scan_has_entries = 0;
  converter_run(0, LEAST_PERIOD_US);
  (void)converter_take_lost();
  for (struct sample sample; converter_take(&sample);) {
  }
}

static uint8_t stream_filled(void)
{
  return stream_put - stream_taken;
}

static void put_into_stream(const struct sample *sample)
{
  if (stream_filled() == STREAM_ROOM) {
    samples++;
    lost++;
  } else {
    stream[stream_put++ & (STREAM_ROOM - 1)] = (uint16_t)(sample->channel << VALUE_BITS | sample->value);
    scan_has_entries = 1;
  }
  if (!sample->ends_scan || !scan_has_entries) return;
  scan_has_entries = 0;
  if (stream_filled()) stream[(stream_put - 1) & (STREAM_ROOM - 1)] |= ENDS_SCAN;
  else data_edges++;
}

static void watch(const struct sample *sample)
{
  const uint8_t bit = (uint8_t)(1 << sample->channel);
  const uint8_t is_outside = sample->value < low || sample->value > high;
  if (is_outside == ((outside & bit) != 0)) return;
  outside ^= bit;
  crossings++;
  crossing_time = classes_micros();
  threshold_edges++;
}

static void poll(void)
{
  for (struct sample sample; converter_take(&sample);) {
    newest[sample.channel] = sample.value;
    if (control & WATCH) watch(&sample);
    if (control & STREAM) put_into_stream(&sample);
    else samples++;
  }
  const uint16_t missed = converter_take_lost();
  samples += missed;
  if (control & STREAM) lost += missed;
}

static uint32_t possible_period(void)
{
  return period_us < LEAST_PERIOD_US ? LEAST_PERIOD_US : period_us;
}

static void write_control(uint32_t value)
{
  const uint32_t changed = control ^ value;
  if (changed & ~value & RUN) converter_run(0, possible_period());
  poll(); /* the samples until now are of the time before */
  control = value;
  if (changed & value & WATCH) outside = 0;
  if (changed & value & RUN) converter_run(channels & converter_channels, possible_period());
}

static enum bridge_error write(uint16_t reg, uint32_t value)
{
  switch (reg) {
    case CONTROL:
      write_control(value);
      return BRIDGE_OK;
    case CHANNELS:
      channels = value;
      break;
    case PERIOD:
      period_us = value;
      break;
    case LOW:
      low = value;
      return BRIDGE_OK;
    case HIGH:
      high = value;
      return BRIDGE_OK;
    default:
      return BRIDGE_NO_SUCH_THING;
  }
  if (control & RUN) converter_change(channels & converter_channels, possible_period());
  return BRIDGE_OK;
}

static void refresh(uint16_t reg)
{
  if ((control & RUN) || reg < SAMPLE || reg >= SAMPLE + CHANNELS_MOST) return;
  const uint8_t channel = (uint8_t)(reg - SAMPLE);
  if (converter_channels >> channel & 1) newest[channel] = converter_once(channel);
}

static enum bridge_error read(uint16_t reg, uint32_t *value)
{
  switch (reg) {
    case CONTROL:
      *value = control;
      return BRIDGE_OK;
    case CHANNELS:
      *value = channels;
      return BRIDGE_OK;
    case PERIOD:
      *value = period_us;
      return BRIDGE_OK;
    case LOW:
      *value = low;
      return BRIDGE_OK;
    case HIGH:
      *value = high;
      return BRIDGE_OK;
    case DATA:
    case LEVEL:
      *value = 0;
      return BRIDGE_OK;
    case SAMPLES:
      *value = samples;
      return BRIDGE_OK;
    case LOST:
      *value = lost;
      return BRIDGE_OK;
    case OUTSIDE:
      *value = outside;
      return BRIDGE_OK;
    case CROSSINGS:
      *value = crossings;
      return BRIDGE_OK;
    case TIME:
      *value = crossing_time;
      return BRIDGE_OK;
    case PRESENT:
      *value = converter_channels;
      return BRIDGE_OK;
    case RESOLUTION:
      *value = converter_bits;
      return BRIDGE_OK;
    default:
      if (reg < SAMPLE || reg >= SAMPLE + CHANNELS_MOST) return BRIDGE_NO_SUCH_THING;
      *value = newest[reg - SAMPLE];
      return BRIDGE_OK;
  }
}

static uint16_t edges(uint8_t line)
{
  uint16_t *counter = line == THRESHOLD_LINE ? &threshold_edges : &data_edges;
  const uint16_t count = *counter;
  *counter = 0;
  return count;
}

static uint8_t frame(uint8_t line)
{
  (void)line;
  return 1;
}

static uint16_t snapshot(uint8_t line, uint8_t index)
{
  if (line == DATA_LINE) return index < 2 ? (uint16_t)(SAMPLES + index) : BRIDGE_NONE;
  if (index < 3) return (uint16_t)(OUTSIDE + index);
  return index < 3 + CHANNELS_MOST ? (uint16_t)(SAMPLE + index - 3) : BRIDGE_NONE;
}

/* Whole scans, or as much as a line holds: a wire that is slower than the samples fills its lines. */
static uint8_t waiting(void)
{
  const uint8_t filled = stream_filled();
  if (filled && filled < 4 && (control & RUN) && !(stream[(stream_put - 1) & (STREAM_ROOM - 1)] & ENDS_SCAN)) return 0;
  return filled;
}

static uint32_t take(void)
{
  const uint16_t entry = stream[stream_taken++ & (STREAM_ROOM - 1)];
  samples++;
  if (entry & ENDS_SCAN) data_edges++;
  return (uint32_t)((entry & ~ENDS_SCAN) >> VALUE_BITS) << 16 | (entry & ((1 << VALUE_BITS) - 1));
}

const struct bridge_device adc_device = {
  .kind = "adc",
  .version = 1,
  .lines = 2,
  .fifo_width = 4,
  .fifo = DATA,
  .begin = begin,
  .poll = poll,
  .write = write,
  .read = read,
  .refresh = refresh,
  .edges = edges,
  .frame = frame,
  .snapshot = snapshot,
  .waiting = waiting,
  .take = take,
};
