/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_bounds.h — the upper ends of the histogram's buckets: as a number, and as it is shown. */
#ifndef SERVER_METRICS_BOUNDS_H
#define SERVER_METRICS_BOUNDS_H

#include <stdint.h>

#include "server/metrics.h"

static const struct {
    uint32_t us;
    const char *seconds;
} metrics_bounds[METRICS_BOUNDS] = {
    {100, "0.0001"},  {250, "0.00025"}, {500, "0.0005"},  {1000, "0.001"},
    {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"},  {25000, "0.025"},
    {50000, "0.05"},  {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},
    {1000000, "1"},   {2500000, "2.5"}, {5000000, "5"},   {10000000, "10"},
};

#endif
