// varve: create topics, produce, consume, measure.
#include "client/cli/command_line.h"

int main(int argc, char** argv) { return varve::cli::VarveMain(argc, argv); }
