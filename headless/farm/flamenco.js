// SPDX-License-Identifier: GPL-3.0-or-later
// A job type for Flamenco 3: renders a Twinset dataset in tasks of consecutive blocks, then finishes it.
// Copy this file into the folder "scripts" beside the Flamenco Manager.

const RECIPE = @values@;

const JOB_TYPE = {
    label: "Twinset dataset",
    description: "Render a dataset from a recipe, then write its annotations",
    settings: [
        { key: "recipe", type: "string", subtype: "file_path", required: true, visible: "submission",
          default: RECIPE.recipe, description: "Recipe (path on the workers)" },
        { key: "out", type: "string", subtype: "dir_path", required: true, visible: "submission",
          default: RECIPE.out, description: "Output folder (path on the workers)" },
        { key: "images", type: "int32", required: true, visible: "submission",
          default: RECIPE.images, description: "Frames to render" },
        { key: "block", type: "int32", required: true, visible: "submission",
          default: RECIPE.block, description: "Frames per block, as block_size of the recipe says" },
        { key: "blocks_per_task", type: "int32", required: true, visible: "submission",
          default: RECIPE.blocks_per_task, description: "Blocks that a task renders in sequence" },
        { key: "command", type: "string", required: true, visible: "submission",
          default: RECIPE.command, description: "How the workers call Twinset" },
    ],
};

function compileJob(job) {
    const settings = job.settings;
    for (const key of ["images", "block", "blocks_per_task"]) {
        if (settings[key] < 1) {
            throw new Error("Twinset: " + key + " must be 1 or more");
        }
    }
    const blocks = Math.ceil(settings.images / settings.block);
    const [program, ...own] = settings.command.split(" ").filter(part => part);
    const first = [...own, ...RECIPE.allowed];
    const finish = task("finish", program, [...first, "finish", settings.out]);
    for (let start = 0; start < blocks; start += settings.blocks_per_task) {
        const chunk = start + "-" + (Math.min(start + settings.blocks_per_task, blocks) - 1);
        const render = task("render-" + chunk, program, [
            ...first, "render", settings.recipe, "--out", settings.out,
            "--images", String(settings.images), "--blocks", chunk,
        ]);
        job.addTask(render);
        finish.addDependency(render);
    }
    job.addTask(finish);
}

function task(name, program, args) {
    const made = author.Task(name, "blender");
    made.addCommand(author.Command("exec", { exe: program, args: args }));
    return made;
}
