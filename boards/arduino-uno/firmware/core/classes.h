/* The device classes (docs/hardware) on the hardware that twi.h, pins.h and converter.h describe. */
#ifndef DIRQL_CLASSES_H
#define DIRQL_CLASSES_H

#include "bridge.h"

extern const struct bridge_device i2c_device, gpio_device, adc_device;

/* The lines of gpio_device whose level is active now; bit 0 is its line `pins`, which never is. */
uint8_t gpio_active_lines(void);
/* The board's clock, for the classes' TIME registers: the port's micros. */
uint32_t classes_micros(void);

#endif
