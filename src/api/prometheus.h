// The heap's figures in Prometheus' text exposition format, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
//
// Names begin with tide_; bytes and seconds are the only units, counters end in _total. Size
// classes are told apart by the label class, the bytes of a block: those without a slab are left
// out. Thread caches are not in it: their number is not bounded, and label sets have to be.
#pragma once

#include "api/report_writer.h"

namespace tide::api {

void write_stats_prometheus(ReportWriter& out);

}  // namespace tide::api
