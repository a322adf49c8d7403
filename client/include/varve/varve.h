// Everything of the client library.
#ifndef VARVE_VARVE_H_
#define VARVE_VARVE_H_

#include "varve/admin.h"           // IWYU pragma: export
#include "varve/client.h"          // IWYU pragma: export
#include "varve/cluster_status.h"  // IWYU pragma: export
#include "varve/producer.h"        // IWYU pragma: export
#include "varve/reader.h"          // IWYU pragma: export
#include "varve/record.h"          // IWYU pragma: export
#include "varve/status.h"          // IWYU pragma: export

#endif  // VARVE_VARVE_H_
