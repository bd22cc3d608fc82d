"""YAML as Google and Kubernetes read it: a name that stands twice in one place is an error."""

from typing import Any

import yaml


class Once(yaml.SafeLoader):
    """Refuses such a name, of which PyYAML alone takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [self.construct_object(key) for key, _ in node.value]
        assert len(set(names)) == len(names), f"twice in one place: {names}"
        return super().construct_mapping(node, deep)


def read_documents(text: str) -> list[Any]:
    """All of a file."""
    return list(yaml.load_all(text, Once))


def read_document(text: str) -> dict[str, Any]:
    """The only one of a file."""
    (found,) = read_documents(text)
    return dict(found)
