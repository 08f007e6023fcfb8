/* A forwarder with libzmq: producers connect to the first port, subscribers to the second. */
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

static void *bound(void *context, int type, const char *port) {
    char endpoint[64];
    int unlimited = 0;
    void *socket = zmq_socket(context, type);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%s", port);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
    if (zmq_bind(socket, endpoint) != 0) {
        perror(endpoint);
        exit(1);
    }
    return socket;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    void *context = zmq_ctx_new();
    void *from = bound(context, ZMQ_XSUB, argv[1]);
    void *to = bound(context, ZMQ_XPUB, argv[2]);
    return zmq_proxy(from, to, NULL);
}
