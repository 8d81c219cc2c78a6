/*
 * Simulated hardware below the classes: a memory chip at 0x50 and a thermometer at 0x48 on the bus, wires from pin to pin,
 * and a converter whose samples are made by rule.
 */
#ifndef DIRQL_HOSTED_DEVICES_H
#define DIRQL_HOSTED_DEVICES_H

#include "../core/bridge.h"

extern const struct bridge_device *const hosted_devices[3];

/* Pins: D4 drives D2 (line `button`), D7 drives D3 (line `alert`), D5 drives D6, when they are outputs. */
uint16_t hosted_lines(uint16_t listening);

/* Whoever links the devices gives the time. */
uint32_t hosted_micros(void);

#endif
