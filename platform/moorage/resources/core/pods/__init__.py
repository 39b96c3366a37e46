"""Pods: declaration, defaults, rules, columns, and questions that schedulers, controllers and agents ask of a pod."""
