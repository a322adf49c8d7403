# Turns a public proto file into the client's private, lite copy: another package, so that no C++
# symbol meets that of a full copy; lite runtime, so that nothing registers with descriptors; and a
# message of our own in place of google.protobuf.Any, which is not lite. The wire does not change.
#   cmake -DINPUT=a.proto -DOUTPUT=b.proto -P make_lite_proto.cmake
file(READ ${INPUT} text)
string(REPLACE "package varve.v1;" "package varve.client.wire;\noption optimize_for = LITE_RUNTIME;" text "${text}")
string(REPLACE "import \"varve/v1/" "import \"client_wire/" text "${text}")
if(text MATCHES "google/protobuf/any.proto")
  string(REPLACE "import \"google/protobuf/any.proto\";" "" text "${text}")
  string(REPLACE "google.protobuf.Any" "Any" text "${text}")
  string(APPEND text "\nmessage Any {\n  string type_url = 1;\n  bytes value = 2;\n}\n")
endif()
# Methods are called by name: no service definitions.
string(REGEX REPLACE "\nservice [A-Za-z]+ {\n([^}]*\n)?}" "" text "${text}")
file(WRITE ${OUTPUT} "${text}")
