"""Says at the very end, below Ansible's recap, why a playbook failed."""

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Beside the usual output; each host's first failure counts."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "last_line"

    def __init__(self):
        super().__init__()
        self._reasons = {}

    def v2_runner_on_failed(self, result, ignore_errors=False):
        """Keeps the message of a failure that ends the host's play."""
        if not ignore_errors:
            message = " ".join(str(result._result.get("msg", "")).split())
            # a key in it may be anybody's: it moves no cursor
            harmless = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
            self._reasons.setdefault(result._host.get_name(), harmless or result._task.get_name())

    def v2_runner_on_unreachable(self, result):
        """Keeps why a host cannot be reached, where that ends its play."""
        self.v2_runner_on_failed(result, ignore_errors=result._task.ignore_unreachable)

    def v2_playbook_on_stats(self, stats):
        """Prints them."""
        for host, reason in self._reasons.items():
            if host in stats.failures or host in stats.dark:
                named = host == "localhost" or reason.startswith(host)
                self._display.display(reason if named else f"{host}: {reason}", color="red")
