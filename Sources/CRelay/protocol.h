#ifndef RELAY_PROTOCOL_H
#define RELAY_PROTOCOL_H

#include <stdint.h>

// ggml's RPC, version 7: a request is its command (1 byte), the size of its data (8 bytes) and the data; a response is the size
// of its data (8 bytes) and the data.
enum command {
    command_alloc_buffer = 0,
    command_get_alignment = 1,
    command_get_max_size = 2,
    command_buffer_get_base = 3,
    command_free_buffer = 4,
    command_buffer_clear = 5,
    command_set_tensor = 6,
    command_set_tensor_hash = 7,
    command_get_tensor = 8,
    command_copy_tensor = 9,
    command_graph_compute = 10,
    command_get_device_memory = 11,
    command_init_tensor = 12,
    command_get_alloc_size = 13,
    command_hello = 14,
    command_device_count = 15,
    command_graph_recompute = 16,
    command_memset_tensor = 17,
};

enum {
    header_size = 9,
    hello_request_size = 24,
    hello_response_size = 28,
    // Requests whose size the response depends on, and that are looked at as a whole, are not larger.
    small_request = 4096,
    most_devices = 64,
};

// Bytes of a command's response; 0 if it has none. That of get_tensor is what the request says.
static inline uint64_t response_size(uint8_t command) {
    switch (command) {
    case command_alloc_buffer:
    case command_get_device_memory: return 16;
    case command_get_alignment:
    case command_get_max_size:
    case command_buffer_get_base:
    case command_get_alloc_size: return 8;
    case command_set_tensor_hash:
    case command_copy_tensor: return 1;
    case command_hello: return hello_response_size;
    case command_device_count: return 4;
    default: return 0;
    }
}

#endif
