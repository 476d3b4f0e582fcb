"""Two kinds of import contract that import-linter does not have; pyproject.toml names them as `contract_types`.

`own_domain`: a module of one domain imports, of a layer, its own domain, what belongs to no domain, and named doors.
`pure_rules`: files of rules reach no engine, clock or source of randomness, directly or through our own modules.
"""

from importlinter import Contract, ContractCheck, fields, output
from importlinter.domain.helpers import pop_import_expressions


class OwnDomain(Contract):
    """Modules of `importers.<domain>` import `imported.<domain>`, `imported.<shared>` and the doors, no more."""

    type_name = "own_domain"
    importers = fields.StringField()
    imported = fields.StringField()
    shared = fields.SetField(fields.StringField())
    doors = fields.SetField(fields.ModuleExpressionField(), required=False)

    def check(self, graph, verbose):
        doors = {m for door in self.doors or () for m in graph.find_matching_modules(door.expression)}
        found = [
            (importer, imported)
            for importer in sorted(graph.find_descendants(self.importers))
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if imported.startswith(f"{self.imported}.") and imported not in doors
            if child_of(imported) not in {child_of(importer), *self.shared}
        ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check):
        for importer, imported in check.metadata["found"]:
            output.print_error(f"{importer} imports {imported}, which is another domain's and no door.")


class PureRules(Contract):
    """No chain of imports leads from a file of rules to a forbidden module."""

    type_name = "pure_rules"
    package = fields.StringField()
    verbs = fields.SetField(fields.StringField(), required=False)
    forbidden_modules = fields.ListField(fields.StringField())
    ignore_imports = fields.SetField(fields.ImportExpressionField(), required=False)

    def check(self, graph, verbose):
        pop_import_expressions(graph, self.ignore_imports or set())
        rules = {m for m in graph.find_descendants(self.package) if "rules" in m.rpartition(".")[2]}
        found = [
            chain
            for module in sorted(rules - set(self.verbs or ()))
            for forbidden in self.forbidden_modules
            if forbidden in graph.modules
            if (chain := graph.find_shortest_chain(module, forbidden, as_packages=True))
        ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check):
        for chain in check.metadata["found"]:
            output.print_error(" imports ".join(chain))


def child_of(module):
    """The part of the name below the layer: the domain, or what stands beside the domains."""
    return module.split(".")[1]
