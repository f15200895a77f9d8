"""How machines join the record: imports, expected machines, rules, bills of materials, replaced parts, adoption."""
