// Statistics at the end of the process, if the options `stats` and `stats_file` ask for them.
#pragma once

namespace tide::api {

// To be called when an option is set. Many programs close standard error before they end, to see
// whether all of it was written; if the report is to go there, this keeps it open.
void prepare_exit_report();

// Writes them, or does nothing. Never in secure-execution mode. Called once, at exit; allocates
// nothing and takes no lock that other threads may still hold for long.
void write_exit_report();

}  // namespace tide::api
