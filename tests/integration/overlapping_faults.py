"""Faults that meet: more than one broker is hit before all is well again. Writes may stop meanwhile."""
import signal
import time

from local_cluster import SEEDS


class OverlappingFaults:
    """Each method is one such fault, healing included; `order` is the three nodes, shuffled."""

    def __init__(self, cluster, relay, draw):
        self.cluster, self.relay, self.draw = cluster, relay, draw

    def strike(self):
        """One of them; its name."""
        kind = self.draw.choice((self.kill_all, self.kill_two, self.kill_beside_stopped,
                                 self.stop_beside_starting, self.kill_beside_cut, self.ring))
        order = list(SEEDS)
        self.draw.shuffle(order)
        kind(*order)
        return kind.__name__

    def wait(self, most):
        time.sleep(self.draw.uniform(0, most))

    def restart(self, *nodes):
        for node in nodes:
            self.wait(0.3)
            self.cluster.brokers[node].start()
            self.relay.know(node, self.cluster.brokers[node].process.pid)
        for node in nodes:
            self.cluster.brokers[node].await_ready()

    def kill(self, *nodes):
        for node in nodes:
            self.cluster.brokers[node].process.send_signal(signal.SIGKILL)
        for node in nodes:
            self.cluster.brokers[node].process.wait()

    def kill_all(self, first, second, third):
        self.kill(first, second, third)
        self.restart(second, first, third)

    def kill_two(self, first, second, _):
        self.kill(first, second)
        self.wait(2)
        self.restart(first, second)

    def kill_beside_stopped(self, first, second, _):
        stopped = self.cluster.brokers[first].process
        stopped.send_signal(signal.SIGSTOP)
        self.wait(2)
        self.kill(second)
        self.wait(1)
        stopped.send_signal(signal.SIGCONT)
        self.restart(second)

    def stop_beside_starting(self, first, second, _):
        self.kill(first)
        self.cluster.brokers[first].start()
        self.relay.know(first, self.cluster.brokers[first].process.pid)
        self.wait(0.6)
        self.cluster.brokers[second].process.send_signal(signal.SIGSTOP)
        self.wait(2)
        self.cluster.brokers[second].process.send_signal(signal.SIGCONT)
        self.cluster.brokers[first].await_ready()

    def kill_beside_cut(self, first, second, third):
        self.relay.cut([(first, second), (first, third), (second, first), (third, first)])
        self.wait(3)
        self.kill(second)
        self.relay.heal()
        self.restart(second)

    def ring(self, first, second, third):
        """Each hears one of the others only; then one of them, both."""
        self.relay.cut([(first, second), (second, third), (third, first)])
        self.wait(4)
        self.relay.cut([(second, first)])
        self.wait(2)
        self.relay.heal()
