// Marks what libvarve.so exports. Everything else in the library is hidden.
#ifndef VARVE_API_H_
#define VARVE_API_H_

#define VARVE_API __attribute__((visibility("default")))

#endif  // VARVE_API_H_
