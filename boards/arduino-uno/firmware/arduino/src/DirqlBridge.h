/* The bridge in a sketch: tell it a serial port and devices in setup(), call poll() in loop(). */
#ifndef DIRQL_BRIDGE_ARDUINO_H
#define DIRQL_BRIDGE_ARDUINO_H

#include <Arduino.h>

extern "C" {
#include "bridge.h"
}

class DirqlBridge {
public:
  /*
   * `serial` is open at `baud`. `bootCount` must differ from boot to boot: a count in EEPROM, or random bits. All that is
   * pointed to must stay.
   */
  static void begin(Stream &serial, uint32_t baud, const char *name, uint32_t bootCount,
                    const struct bridge_device *const *devices, uint8_t deviceCount);

  /* A level-triggered line of the sketch, counted over all devices: whether its level is active now. */
  static void setLevel(uint8_t line, bool isActive);

  /* To be called as often as can be: never longer than a few milliseconds apart. */
  static void poll();
};

#endif
